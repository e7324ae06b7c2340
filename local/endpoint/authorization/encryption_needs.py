"""The actions that KMS, Parameter Store and Secrets Manager need, with those on the keys that encrypt.

https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html: Parameter Store encrypts and
decrypts with the caller's permissions. Its AWS managed key lets in everyone who calls it by Parameter Store.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from local.endpoint.authorization.lookups import Lookups, Need, Parameters
from local.engine.roles.policy_evaluation import Context

#: Operations of KMS that concern no key that exists.
_OF_NO_KEY = ("CreateKey", "ListAliases", "ListKeys")

#: Characters of the key's id at the beginning of a ciphertext.
_KEY_ID_LENGTH = 36


def kms(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    """List what a call of KMS needs."""
    if operation in _OF_NO_KEY:
        return [Need(f"kms:{operation}", "*")]
    if "AliasName" in parameters:
        alias: str = parameters["AliasName"]
        keys = (parameters.get("TargetKeyId"), None if operation == "CreateAlias" else alias)
        found = [_key_arn(each, lookups) for each in keys if each]
        return [Need(f"kms:{operation}", each) for each in (lookups.arn("kms", alias), *found)]
    given = parameters.get("KeyId") or _key_of_ciphertext(parameters.get("CiphertextBlob", ""))
    if given is None:
        return []  # KMS answers that the ciphertext is invalid
    asked_for = parameters.get("KeyId", "")
    request = {"kms:requestalias": asked_for if asked_for.startswith("alias/") else None, "kms:viaservice": None}
    return [Need(f"kms:{operation}", _key_arn(given, lookups), _keys(request, parameters, lookups))]


def parameter_store(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    """List what a call of Parameter Store needs."""
    if operation == "DescribeParameters":
        return [Need("ssm:DescribeParameters", "*")]
    names = parameters.get("Names") or [parameters.get("Name") or parameters.get("Path") or parameters["ResourceId"]]
    needs = [Need(f"ssm:{operation}", _parameter_arn(each, lookups)) for each in names]
    if operation == "PutParameter" and parameters.get("Type") == "SecureString":
        needs += _on_key("Encrypt", _plain(names[0]), parameters.get("KeyId", ""), lookups)
    if parameters.get("WithDecryption"):
        encrypted = lookups.encrypted_parameters()
        wanted = {_plain(each) for each in names}
        below = f"{parameters['Path'].rstrip('/')}/" if operation == "GetParametersByPath" else None
        for name, key in encrypted.items():
            if name in wanted or (below is not None and name.startswith(below)):
                needs += _on_key("Decrypt", name, key, lookups)
    return needs


def secrets_manager(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    """List what a call of Secrets Manager needs."""
    given: str = parameters.get("SecretId") or parameters.get("Name", "")
    # A policy names the random end of a secret's ARN, which a name in a call does not have.
    arn = given if given.startswith("arn:") else lookups.secret(given)
    return [Need(f"secretsmanager:{operation}", arn or lookups.arn("secretsmanager", f"secret:{given}"))]


def _on_key(operation: str, parameter: str, key: str, lookups: Lookups) -> Iterator[Need]:
    """Yield what Parameter Store needs of a customer managed key, on behalf of its caller."""
    arn = lookups.key(key) if key else None
    if arn is None:
        return
    encryption = {"EncryptionContext": {"PARAMETER_ARN": _parameter_arn(parameter, lookups)}}
    service = {"kms:viaservice": f"ssm.{lookups.region}.amazonaws.com", "kms:requestalias": None}
    yield Need(f"kms:{operation}", arn, _keys(service, encryption, lookups))


def _keys(more: Context, parameters: Parameters, lookups: Lookups) -> Context:
    """Return the condition keys of a call that uses a key."""
    context: Mapping[str, Any] = parameters.get("EncryptionContext", {})
    return {
        **more,
        "kms:calleraccount": lookups.account_id,
        "kms:encryptioncontextkeys": [*context] or None,
        "kms:encryptioncontext:parameter_arn": None,
        **{f"kms:encryptioncontext:{name.lower()}": str(value) for name, value in context.items()},
    }


def _key_arn(key: str, lookups: Lookups) -> str:
    return lookups.key(key) or lookups.arn("kms", f"key/{key}")


def _key_of_ciphertext(text: str) -> str | None:
    """Return the id of the key that made a ciphertext; `None` if the text is not one."""
    try:
        found = base64.b64decode(text, validate=True)[:_KEY_ID_LENGTH].decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return found if len(found) == _KEY_ID_LENGTH else None


def _plain(parameter: str) -> str:
    """Return a parameter's name without the version or label that a call may add."""
    if parameter.startswith("arn:"):
        return parameter
    return parameter.partition(":")[0]


def _parameter_arn(parameter: str, lookups: Lookups) -> str:
    name = _plain(parameter)
    return lookups.arn("ssm", name if name.startswith("arn:") else f"parameter/{name.removeprefix('/')}")
