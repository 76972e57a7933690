"""An independent reading of wrapped data keys, version 1, with the HPKE of Python's `cryptography` (47 and later).

    wrap_v1.py open VECTORS      unwraps every vector and checks that a changed one does not unwrap
    wrap_v1.py generate          prints the vectors (they are frozen: a new version gets a new file)
"""

import hashlib
import json
import sys
import uuid

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

LABEL = b"bulkhead/vault/wrap/v1"
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def info_of(fields):
    """What a wrapped key is bound to: each field behind its length."""
    parts = [
        LABEL,
        fields["environment"].encode(),
        fields["purpose"].encode(),
        uuid.UUID(fields["tenant"]).bytes,
        fields["owner"].encode(),
        fields["dek_id"].to_bytes(8, "big"),
        fields["kek_id"].encode(),
        fields["kek_version"].to_bytes(4, "big"),
    ]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def generate():
    vectors = []
    for number, purpose in enumerate(["refresh_tokens", "access_tokens", "client_secrets", "buyer_pii"]):
        digest = lambda what: hashlib.sha512(f"bulkhead wrap vector {number} {what}".encode()).digest()
        private = X25519PrivateKey.from_private_bytes(digest("kek")[:32])
        fields = {
            "environment": "production" if number % 2 else "development",
            "purpose": purpose,
            "tenant": str(uuid.UUID(bytes=digest("tenant")[:16])),
            "owner": ["a-connection", "a-connection", "an-application", "2026-11-24"][number],
            "dek_id": int.from_bytes(digest("id")[:8], "big") >> 1,
            "kek_id": f"{purpose}-0000000{number}",
            "kek_version": number + 1,
        }
        dek = digest("dek")[:32]
        vectors.append({
            "name": f"wrap-v1-{number}",
            "binding": fields,
            "private": digest("kek")[:32].hex(),
            "dek": dek.hex(),
            "wrapped": (b"\x01" + SUITE.encrypt(dek, private.public_key(), info_of(fields))).hex(),
        })
    print(json.dumps({"format": "bulkhead wrap v1", "vectors": vectors}, indent=2))


def unwrap(private, info, wrapped):
    assert wrapped[0] == 1 and len(wrapped) == 81
    return SUITE.decrypt(wrapped[1:], X25519PrivateKey.from_private_bytes(private), info)


def open_all(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)["vectors"]
    for vector in vectors:
        private, wrapped = bytes.fromhex(vector["private"]), bytes.fromhex(vector["wrapped"])
        info = info_of(vector["binding"])
        assert unwrap(private, info, wrapped).hex() == vector["dek"], vector["name"]
        try:
            unwrap(private, info, wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
        except InvalidTag:
            continue
        sys.exit(f"{vector['name']}: a changed key unwrapped")
    print(f"opened {len(vectors)} vectors")


if __name__ == "__main__":
    generate() if sys.argv[1] == "generate" else open_all(sys.argv[2])
