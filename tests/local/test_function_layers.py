"""Layers of functions on the endpoint."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

honours = pytest.mark.honours

ASKS = "def handler(event, context):\n    import pricing\n    return pricing.FEE\n"


def layer(world, files, name=None):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for path, text in files.items():
            packed.writestr(path, text)
    published = world.client("lambda").publish_layer_version(
        LayerName=name or world.name,
        Content={"ZipFile": content.getvalue()},
        Description="what things cost",
        CompatibleRuntimes=["python3.13"],
        CompatibleArchitectures=["arm64"],
    )
    return published["LayerVersionArn"]


@honours("lambda:PublishLayerVersion", "LayerName Content Description CompatibleRuntimes CompatibleArchitectures")
@honours("lambda:GetLayerVersion", "LayerName VersionNumber")
@honours("lambda:CreateFunction", "Layers")
def test_a_function_imports_from_its_layer(world):
    arn = layer(world, {"python/pricing.py": "FEE = 7"})
    world.function(ASKS, Layers=[arn])
    assert world.invoke({}) == 7
    found = world.client("lambda").get_layer_version(LayerName=world.name, VersionNumber=1)
    assert (found["LayerVersionArn"], found["Description"]) == (arn, "what things cost")
    assert (found["CompatibleRuntimes"], found["CompatibleArchitectures"]) == (["python3.13"], ["arm64"])


def test_the_last_layer_wins_and_the_functions_own_files_win_over_all(world):
    first = layer(world, {"python/pricing.py": "FEE = 1"}, f"{world.name}-first")
    second = layer(world, {"python/lib/python3.13/site-packages/pricing.py": "FEE = 2"}, f"{world.name}-second")
    world.function(ASKS, Layers=[first, second])
    assert world.invoke({}) == 2


@honours("lambda:UpdateFunctionConfiguration", "Layers")
def test_a_function_gets_another_layer_in_place(world):
    world.function(ASKS, Layers=[layer(world, {"python/pricing.py": "FEE = 7"})])
    assert world.invoke({}) == 7
    world.client("lambda").update_function_configuration(
        FunctionName=world.name, Layers=[layer(world, {"python/pricing.py": "FEE = 8"})]
    )
    assert world.invoke({}) == 8


@honours("lambda:DeleteLayerVersion", "LayerName VersionNumber")
def test_a_deleted_layer_stays_with_the_functions_that_have_it_and_is_given_to_no_other(world):
    arn = layer(world, {"python/pricing.py": "FEE = 7"})
    world.function(ASKS, Layers=[arn])
    world.client("lambda").delete_layer_version(LayerName=world.name, VersionNumber=1)
    assert world.invoke({}) == 7
    with pytest.raises(world.client("lambda").exceptions.ClientError):
        world.function(ASKS, name=f"{world.name}-other", Layers=[arn])


def test_without_its_layer_the_import_fails_as_on_aws(world):
    world.function(ASKS)
    answer = world.client("lambda").invoke(FunctionName=world.name, Payload="{}")
    assert json.loads(answer["Payload"].read())["errorMessage"] == "No module named 'pricing'"
