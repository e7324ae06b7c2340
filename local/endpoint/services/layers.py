"""Layers: the content that the endpoint does not act on is refused when a version is published."""

from __future__ import annotations

import base64
import io
import zipfile

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import NotSimulated
from local.endpoint.routes import Routes


def routes() -> Routes:
    """Return the operations of layers."""
    return Routes(checked={"lambda:PublishLayerVersion": [_check_content]})


def _check_content(call: AwsCall) -> None:
    """Refuse extensions: on AWS they run as processes beside each function that has the layer."""
    zipped = call.parameters["Content"]["ZipFile"]
    content = zipped if isinstance(zipped, bytes) else base64.b64decode(zipped)
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return  # ministack answers with Lambda's error
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        found = [name for name in packed.namelist() if name.startswith("extensions/") and not name.endswith("/")]
    if found:
        raise NotSimulated(
            f"the local endpoint runs no Lambda extensions, and the layer has {found[0]}: leave the layer out on this "
            "machine, or test what it does on an AWS account"
        )
