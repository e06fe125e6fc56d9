"""Object stores on this machine: S3 served by moto on loopback, and an emulator of Google's."""

from __future__ import annotations

import json
import logging
import socket
import urllib.request
from collections.abc import Iterator

import pytest

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATESTONLY", "AWS_SECRET_ACCESS_KEY": "never-to-be-written-down"}


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 server."""
    moto = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request, in the output of the command
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint, monkeypatch, tmp_path) -> str:
    """The URL of a new bucket; this process and its children reach it through environment variables."""
    s3fs = pytest.importorskip("s3fs")
    for key, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": s3_endpoint, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("FORESIGHT_READ_CACHE", str(tmp_path / "read-cache"))
    s3fs.S3FileSystem.clear_instance_cache()  # another test's server
    bucket = f"bucket-{abs(hash(tmp_path))}"
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(bucket)
    return f"s3://{bucket}"


@pytest.fixture(scope="session")
def google_endpoint() -> Iterator[str]:
    """The address of a server of Google's store."""
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    server = emulator.create_server("127.0.0.1", port, in_memory=True)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def google(google_endpoint, monkeypatch, tmp_path) -> str:
    """The URL of a new bucket; this process and its children reach it through environment variables."""
    for key, value in {"STORAGE_EMULATOR_HOST": google_endpoint, "NO_GCE_CHECK": "true"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # otherwise it asks Google for an identity
    monkeypatch.setenv("FORESIGHT_READ_CACHE", str(tmp_path / "read-cache"))
    gcsfs = pytest.importorskip("gcsfs")
    gcsfs.GCSFileSystem.clear_instance_cache()  # another test's server
    copied = super(gcsfs.GCSFileSystem, gcsfs.GCSFileSystem)._mv_file  # what gcsfs falls back to without moveTo,
    monkeypatch.setattr(gcsfs.GCSFileSystem, "_mv_file", copied)  # which it reaches only after a minute of retries
    bucket = f"bucket-{abs(hash(tmp_path))}"
    body = json.dumps({"name": bucket}).encode()
    made = urllib.request.Request(
        f"{google_endpoint}/storage/v1/b?project=p", body, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(made).close()
    return f"gs://{bucket}"
