"""An independent reading of ciphertext format v1, with Python's `cryptography`.

    envelope_v1.py open VECTORS      opens every vector and checks that a changed one does not open
    envelope_v1.py generate          prints the vectors (they are frozen: a new version gets a new file)

`wrap_v1.py` does the same for wrapped data keys.
"""

import hashlib
import json
import sys
import uuid

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LABEL = b"bulkhead/vault/envelope/v1"


def context_of(fields):
    """Each field behind its length; no connection is an empty field."""
    parts = [
        fields["environment"].encode(),
        uuid.UUID(fields["tenant"]).bytes,
        uuid.UUID(fields["connection"]).bytes if fields["connection"] else b"",
        fields["column"].encode(),
        fields["record"].encode(),
        fields["schema_version"].to_bytes(2, "big"),
    ]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def derive(dek, dek_id, salt, context):
    info = LABEL + dek_id + salt + len(context).to_bytes(4, "big") + context
    okm = HKDF(algorithm=hashes.SHA256(), length=64, salt=None, info=info).derive(dek)
    return okm[:32], okm[32:]


def seal(dek, dek_id, salt, context, plaintext):
    key, commitment = derive(dek, dek_id, salt, context)
    header = b"\x01" + dek_id + salt + commitment
    return header + AESGCM(key).encrypt(bytes(12), plaintext, header)


def unseal(dek, context, sealed):
    header, body = sealed[:65], sealed[65:]
    assert header[0] == 1
    key, commitment = derive(dek, header[1:9], header[9:33], context)
    if commitment != header[33:65]:
        raise InvalidTag
    return AESGCM(key).decrypt(bytes(12), body, header)


def generate():
    plaintexts = [b"", b"x", b"Atzr|IwEBI-a-refresh-token", bytes(range(256)), "Zoë Łukasz 山田".encode()]
    vectors = []
    for number, plaintext in enumerate(plaintexts):
        digest = lambda what: hashlib.sha512(f"bulkhead vector {number} {what}".encode()).digest()
        fields = {
            "environment": "production" if number % 2 else "development",
            "tenant": str(uuid.UUID(bytes=digest("tenant")[:16])),
            "connection": str(uuid.UUID(bytes=digest("connection")[:16])) if number != 1 else None,
            "column": ["refresh_tokens.sealed", "application_secrets.sealed", "refresh_tokens.sealed", "order_pii.sealed", "order_pii.sealed"][number],
            "record": "" if number in (0, 2) else f"record-{number}",
            "schema_version": number + 1,
        }
        dek, salt = digest("dek")[:32], digest("salt")[:24]
        dek_id = (int.from_bytes(digest("id")[:8], "big") >> 1).to_bytes(8, "big")
        context = context_of(fields)
        vectors.append({
            "name": f"v1-{number}",
            "context_fields": fields,
            "context": context.hex(),
            "dek": dek.hex(),
            "dek_id": dek_id.hex(),
            "salt": salt.hex(),
            "plaintext": plaintext.hex(),
            "sealed": seal(dek, dek_id, salt, context, plaintext).hex(),
        })
    print(json.dumps({"format": "bulkhead envelope v1", "vectors": vectors}, indent=2, ensure_ascii=False))


def open_all(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)["vectors"]
    for vector in vectors:
        dek, context = bytes.fromhex(vector["dek"]), context_of(vector["context_fields"])
        sealed = bytes.fromhex(vector["sealed"])
        assert context.hex() == vector["context"], vector["name"]
        assert unseal(dek, context, sealed).hex() == vector["plaintext"], vector["name"]
        changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        try:
            unseal(dek, context, changed)
        except InvalidTag:
            continue
        sys.exit(f"{vector['name']}: a changed ciphertext opened")
    print(f"opened {len(vectors)} vectors")


if __name__ == "__main__":
    generate() if sys.argv[1] == "generate" else open_all(sys.argv[2])
