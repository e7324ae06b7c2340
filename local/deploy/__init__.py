"""Deploys the Pulumi program to an AWS endpoint of this machine, without the Pulumi CLI."""

from local.deploy.deployment import Deployment, deploy
from local.deploy.program import Registration
from local.deploy.provider import ChangeInputs, DeployedResource, DeployFailed

__all__ = ["ChangeInputs", "DeployFailed", "DeployedResource", "Deployment", "Registration", "deploy"]
