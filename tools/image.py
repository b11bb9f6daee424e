#!/usr/bin/env python3
"""Writes waypost.wasm as an OCI image in one file, without Docker.

Envoy-based hosts (Istio, Envoy Gateway, Higress) load a wasm filter from an image whose last layer is a gzip'd tar with
one member, `plugin.wasm`. That form is called "compat":
https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md

The file is an OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md) in a tar. The
same wasm, version, commit and time give the same bytes on every machine: no clock is read, owners and times in the tars
are fixed, and members stand in a fixed order.
"""

import argparse
import datetime
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def tar(members):
    """A tar of (name, bytes), with owners, times and modes that depend on nothing."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), 0o644, 0
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def text(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def image(wasm, version, revision, created):
    """The members of the image layout, and the digest of the manifest, by which a deployment pins the image."""
    diff = tar([("plugin.wasm", wasm)])
    # mtime=0 also leaves the name out of the gzip header.
    layer = gzip.compress(diff, compresslevel=9, mtime=0)
    config = text({
        # A module runs on any machine. Registries and pullers want a platform, and this is the one that they expect.
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(diff)]},
        "history": [{"created": created, "created_by": "waypost: make dist"}],
    })
    manifest = text({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": digest(layer), "size": len(layer)}],
        "annotations": {
            "org.opencontainers.image.title": "waypost",
            "org.opencontainers.image.description": "Sends every AI request down the right upstream path: a proxy-wasm filter",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.revision": revision,
            "org.opencontainers.image.created": created,
        },
    })
    index = text({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{
            "mediaType": MANIFEST,
            "digest": digest(manifest),
            "size": len(manifest),
            "annotations": {"org.opencontainers.image.ref.name": version},
        }],
    })
    blobs = {digest(blob): blob for blob in (config, layer, manifest)}
    members = [("oci-layout", text({"imageLayoutVersion": "1.0.0"})), ("index.json", index)]
    members += [("blobs/" + name.replace(":", "/"), blob) for name, blob in sorted(blobs.items())]
    return members, digest(manifest)


def main():
    parser = argparse.ArgumentParser(description="Writes waypost.wasm as an OCI image layout in one tar.")
    parser.add_argument("wasm", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path, help="the tar to write")
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", required=True, help="the commit")
    parser.add_argument("--epoch", type=int, default=0, help="when the commit was made, in seconds since 1970")
    arguments = parser.parse_args()
    created = datetime.datetime.fromtimestamp(arguments.epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    members, name = image(arguments.wasm.read_bytes(), arguments.version, arguments.revision, created)
    arguments.out.write_bytes(tar(members))
    print(f"{arguments.out.name}  {name}")


if __name__ == "__main__":
    main()
