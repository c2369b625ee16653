#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause-Patent
"""ESP and AH against implementations that are not ours: scapy takes our frames and we take scapy's,
for every suite and mode that scapy has; tshark deciphers a capture of ours with the keys.

usage: ipsec_scapy_test.py IPSEC_FRAMES
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


try:
    import logging
    logging.getLogger("scapy").setLevel(logging.ERROR)
    import cryptography  # noqa: F401 (scapy's ciphers)
    from scapy.layers.inet import IP, TCP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.ipsec import AH, ESP, SecurityAssociation
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw
except ImportError as e:
    skip(f"{e.name} is missing: install python3-scapy and python3-cryptography")

FRAMES = sys.argv[1]
SPI = 0x1000
INNER = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd01::1", "fd01::2")}
OUTER = {4: ("192.0.2.1", "192.0.2.2"), 6: ("fd09::1", "fd09::2")}
LENGTHS = [0, 1, 2, 3, 4, 5, 13, 14, 15, 16, 100, 1300]
HMAC_BYTES = 32
# ours: keying material, scapy's encryption, scapy's integrity, protocols
SUITES = {
    "aes-128-gcm": (20, "AES-GCM", None, "esp"),
    "aes-256-gcm": (36, "AES-GCM", None, "esp"),
    "chacha20-poly1305": (36, "CHACHA20-POLY1305", None, "esp"),
    "aes-128-cbc-hmac-sha-256": (48, "AES-CBC", "SHA2-256-128", "esp"),
    "aes-256-cbc-hmac-sha-256": (64, "AES-CBC", "SHA2-256-128", "esp"),
    "hmac-sha-256": (32, "NULL", "SHA2-256-128", "esp ah"),
}


def key_of(suite):
    return bytes((17 * i + 3) & 255 for i in range(SUITES[suite][0]))


class Way:
    """One way to protect packets."""

    def __init__(self, suite, proto, mode, inner, outer, esn, seq):
        self.suite, self.proto, self.mode = suite, proto, mode
        self.inner, self.outer, self.esn, self.seq = inner, outer, esn, seq

    def __str__(self):
        return f"{self.suite} {self.proto} {self.mode} {self.inner} in {self.outer} " \
               f"{'esn' if self.esn else 'plain'} after {self.seq:#x}"

    def association(self):
        bytes_, crypt, auth, _ = SUITES[self.suite]
        key = key_of(self.suite)
        crypt_key, auth_key = key, None
        if auth:
            crypt_key, auth_key = key[:bytes_ - HMAC_BYTES], key[bytes_ - HMAC_BYTES:]
        words = {"spi": SPI, "seq_num": (self.seq + 1) & 0xffffffff}
        if self.proto == "esp":
            words |= {"crypt_algo": crypt, "crypt_key": crypt_key or None}
        if auth:
            words |= {"auth_algo": auth, "auth_key": auth_key}
        if self.esn:
            words |= {"esn_en": True, "esn": (self.seq + 1) >> 32}
        if self.mode == "tunnel":
            src, dst = OUTER[self.outer]
            words["tunnel_header"] = IP(src=src, dst=dst) if self.outer == 4 else \
                IPv6(src=src, dst=dst)
        return SecurityAssociation(AH if self.proto == "ah" else ESP, **words)

    def ours(self, what, frames):
        """Frames through our driver."""
        words = [FRAMES, what, self.proto, self.mode, self.suite, str(self.inner),
                 str(self.outer), "esn" if self.esn else "plain", str(self.seq),
                 key_of(self.suite).hex()]
        done = subprocess.run(words, input="".join(f.hex() + "\n" for f in frames), text=True,
                              capture_output=True, check=False, timeout=60)
        if done.returncode:
            sys.exit(f"{self}: {done.stderr}")
        return done.stdout.split("\n")[:-1]

    def plain(self):
        src, dst = INNER[self.inner]
        ip = IP(src=src, dst=dst, ttl=61, id=77, flags="DF") if self.inner == 4 else \
            IPv6(src=src, dst=dst, hlim=61)
        return [Ether(raw(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ip /
                          TCP(sport=40000, dport=40001, seq=i, ack=7, flags="PA", window=500) /
                          Raw(bytes((i + j) & 255 for j in range(n)))))
                for i, n in enumerate(LENGTHS)]


def raw(packet):
    return bytes(packet)


def network(packet):
    return packet[IP] if packet.type == 0x0800 else packet[IPv6]


def ways():
    for suite, (_, crypt, auth, protos) in SUITES.items():
        for proto in protos.split():
            for mode, inner, outer in (("transport", 4, 4), ("transport", 6, 6), ("tunnel", 4, 4),
                                       ("tunnel", 4, 6), ("tunnel", 6, 4), ("tunnel", 6, 6)):
                yield Way(suite, proto, mode, inner, outer, False, 0)
            # scapy has extended numbers for an AEAD and for AH
            if not auth or proto == "ah":
                yield Way(suite, proto, "tunnel", 4, 4, True, 0x2fffffff8)


def same(way, what, got, want):
    if got != want:
        sys.exit(f"{way}: {what}\n got {got.hex()}\nwant {want.hex()}")


def check(way):
    plain = way.plain()
    sealed = way.ours("seal", [raw(p) for p in plain])
    if len(sealed) != len(plain):
        sys.exit(f"{way}: {len(sealed)} frames of {len(plain)} were sealed")
    theirs = way.association()
    for i, (line, want) in enumerate(zip(sealed, plain)):
        if way.esn:
            theirs.esn = (way.seq + 1 + i) >> 32
        frame = Ether(bytes.fromhex(line))
        got = theirs.decrypt(network(frame))
        same(way, f"scapy opened frame {i}", raw(got), raw(network(want)))
    # and the other way round; a number that was seen, or a changed byte, is refused
    theirs, frames = way.association(), []
    for i, p in enumerate(plain):
        if way.esn:
            theirs.esn = (way.seq + 1 + i) >> 32
            theirs.seq_num = (way.seq + 1 + i) & 0xffffffff
        sealed = theirs.encrypt(network(p))
        frames.append(raw(Ether(src=p.src, dst=p.dst) / sealed))
    spoiled = frames[0][:-1] + bytes([frames[0][-1] ^ 1])
    opened = way.ours("open", [spoiled] + frames + frames)
    if opened[0] != "drop forged" or opened[len(frames) + 1:] != ["drop replayed"] * len(frames):
        sys.exit(f"{way}: not refused: {opened[0]}, {opened[len(frames) + 1:]}")
    for i, p in enumerate(plain):
        if opened[1 + i].startswith("drop"):
            sys.exit(f"{way}: frame {i} of scapy: {opened[1 + i]}")
        same(way, f"we opened frame {i}", bytes.fromhex(opened[1 + i]), raw(p))


def pcap(path, frames):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


TSHARK = {
    "aes-128-gcm": ("AES-GCM with 16 octet ICV [RFC4106]", "NULL"),
    "aes-256-gcm": ("AES-GCM with 16 octet ICV [RFC4106]", "NULL"),
    "aes-128-cbc-hmac-sha-256": ("AES-CBC [RFC3602]", "HMAC-SHA-256-128 [RFC4868]"),
    "hmac-sha-256": ("NULL", "HMAC-SHA-256-128 [RFC4868]"),
}


def check_tshark(folder):
    """tshark reads the capture with the keys: the bytes of every segment."""
    for suite, (crypt, auth) in TSHARK.items():
        way = Way(suite, "esp", "tunnel", 4, 4, False, 0)
        key, auth_key = key_of(suite), b""
        if auth != "NULL":
            key, auth_key = key[:-HMAC_BYTES], key[-HMAC_BYTES:]
        plain = way.plain()
        path = os.path.join(folder, f"{suite}.pcap")
        pcap(path, [bytes.fromhex(line) for line in way.ours("seal", [raw(p) for p in plain])])
        src, dst = OUTER[4]
        row = ",".join(f'"{cell}"' for cell in (
            "IPv4", src, dst, f"{SPI:#010x}", crypt, f"0x{key.hex()}" if key else "", auth,
            f"0x{auth_key.hex()}" if auth_key else ""))
        os.makedirs(os.path.join(folder, "home/.config/wireshark"), exist_ok=True)
        with open(os.path.join(folder, "home/.config/wireshark/esp_sa"), "w",
                  encoding="ascii") as f:
            f.write(row + "\n")
        words = ["tshark", "-r", path, "-o", "esp.enable_encryption_decode:TRUE",
                 "-o", "esp.enable_authentication_check:TRUE",
                 "-o", "esp.enable_null_encryption_decode_heuristic:FALSE",
                 "-T", "fields", "-e", "esp.sequence", "-e", "tcp.seq_raw", "-e", "tcp.payload"]
        env = dict(os.environ, HOME=os.path.join(folder, "home"), XDG_CONFIG_HOME="")
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120,
                              env=env)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        want = [[str(i + 1), str(i), raw(p[TCP].payload).hex()] for i, p in enumerate(plain)]
        if rows != want:
            sys.exit(f"tshark, {suite}: {done.stderr}\n got {rows[:4]}\nwant {want[:4]}")


def main():
    n = 0
    for way in ways():
        check(way)
        n += 1
    print(f"scapy: {n} ways, {len(LENGTHS)} packets each, both directions")
    if not shutil.which("tshark"):
        print("tshark is missing, so no capture was deciphered: install tshark")
        return
    with tempfile.TemporaryDirectory() as folder:
        check_tshark(folder)
    print(f"tshark: {len(TSHARK)} captures")


if __name__ == "__main__":
    main()
