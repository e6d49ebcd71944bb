"""Writes the vectors of the record envelope, from its description and not from its code.

    python3 envelope_vectors.py > envelope_vectors.txt      # needs the `cryptography` package

One vector is one line: name, algorithm, form, passphrase use, then in hex the context, seed, nonce,
secret, passphrase and envelope, and the separators of the key's domains; `-` is nothing.
"""

import hashlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def envelope(
    spec: tuple[str, str, str],
    context: bytes,
    seed: bytes,
    nonce: bytes,
    secret: bytes,
    passphrase: bytes,
    domains: bytes,
) -> bytes:
    label = b"strongroom record 1 with domains\0" if domains else b"strongroom record 1\0"
    associated = label + b"".join(name.encode() + b"\0" for name in spec)
    associated += (bytes([len(domains) // 32]) + domains if domains else b"") + context
    bound_to = hashlib.sha256(associated).digest()

    def derive(label: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=label + b"\0" + bound_to).derive(seed)

    plaintext = struct.pack("<H", len(secret)) + secret + struct.pack("<H", len(passphrase)) + passphrase
    sealed = AESGCM(derive(b"strongroom record 1 key")).encrypt(nonce, plaintext, associated)
    return b"\x01" + derive(b"strongroom record 1 commitment") + nonce + sealed


def main() -> None:
    two = b"\x01" * 32 + b"\x02" * 32
    for name, spec, context, secret, passphrase, domains in [
        ("plain", ("hmac-sha256", "utf8", "absent"), b"binance-main", b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP", b"", b""),
        ("no-context", ("hash-sha256", "utf8", "absent"), b"", b"s", b"", b""),
        ("passphrase", ("hmac-sha256", "base64", "plain"), b"\x00\xff" * 40, b"c2VjcmV0c2VjcmV0", "pä ss".encode(), b""),
        ("mac-of-passphrase", ("hmac-sha512", "utf8", "mac"), b"kucoin", b"x" * 300, b"p" * 256, b""),
        ("wallet-without-domains", ("secp256k1", "hex32", "absent"), b"hyperliquid", b"17" * 32, b"", b""),
        ("wallet", ("secp256k1", "hex32", "absent"), b"hyperliquid", b"17" * 32, b"", two[:32]),
        ("wallet-of-two-domains", ("secp256k1", "hex32", "absent"), b"hyperliquid", b"17" * 32, b"", two),
    ]:
        seed = hashlib.sha256(b"seed of " + name.encode()).digest()
        nonce = hashlib.sha256(b"nonce of " + name.encode()).digest()[:12]
        sealed = envelope(spec, context, seed, nonce, secret, passphrase, domains)
        print(name, *spec, *(part.hex() or "-" for part in (context, seed, nonce, secret, passphrase, sealed, domains)))


if __name__ == "__main__":
    main()
