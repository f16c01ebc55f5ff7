#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Deterministic synthetic package content for package-manager benchmarks.

  gen-content.py OUT [--pkgs 200] [--files 100] [--seed 1]

Writes OUT/v1/<pkg>/... and OUT/v2/<pkg>/... (package roots) plus OUT/manifest.json:
  {"pkgs":[{"name","deps":[...],"conf":[...]}], "v1":{pkg:{path:sha256|"->target"}}, "v2":{...}}

Shape of one package: one program, one shared library with two symlinks, one config file,
headers, docs and data files.  Sizes are log-normal (median 3 kB, mean about 9 kB, cap 2 MB),
content is a mix of text and incompressible bytes (zstd -3 reaches about 2.5:1).
v2 changes the bytes of about half of the files, drops 3 files and adds 3 per package.
Package i depends on package (i-1)//2, so the dependency graph is one binary tree.
"""
import argparse, hashlib, json, os, random, sys

ap = argparse.ArgumentParser()
ap.add_argument("out"); ap.add_argument("--pkgs", type=int, default=200)
ap.add_argument("--files", type=int, default=100); ap.add_argument("--seed", type=int, default=1)
a = ap.parse_args()
R = random.Random(a.seed)

words = [bytes(R.choices(b"abcdefghijklmnopqrstuvwxyz", k=R.randint(2, 10))) for _ in range(4000)]
pool = bytearray()
while len(pool) < 24 << 20:
    pool += b" ".join(R.choices(words, k=400)) + b"\n"
    if R.random() < 0.35:
        pool += R.randbytes(900)
pool = bytes(pool)

def blob(r, path=""):
    if path.startswith("etc/"):                     # config files are text (some managers merge them line by line)
        return b"\n".join(r.choice(words) + b" = " + r.choice(words) for _ in range(r.randint(5, 60))) + b"\n"
    n = max(40, min(2 << 20, int(r.lognormvariate(8.006, 1.5))))
    o = r.randrange(len(pool) - n)
    return pool[o:o + n]

MT = 1700000000
def put(root, path, data, mode=0o644):
    p = os.path.join(root, path)
    os.makedirs(os.path.dirname(p), exist_ok=True)
    with open(p, "wb") as f: f.write(data)
    os.chmod(p, mode); os.utime(p, (MT, MT))

man = {"pkgs": [], "v1": {}, "v2": {}}
tot = {"v1": [0, 0], "v2": [0, 0]}
for i in range(a.pkgs):
    n = "bench%03d" % i
    conf = "etc/%s.conf" % n
    man["pkgs"].append({"name": n, "deps": ["bench%03d" % ((i - 1) // 2)] if i else [], "conf": [conf]})
    paths = ["usr/bin/" + n, "usr/lib/lib%s.so.1.0" % n, conf]
    kinds = ["usr/include/%s/h%02d.h", "usr/share/%s/data/d%02d.dat", "usr/share/doc/%s/p%02d.txt",
             "usr/lib/%s/plugins/m%02d.so"]
    k = 0
    while len(paths) < a.files:
        paths.append(kinds[k % 4] % (n, k)); k += 1
    base = {}
    for p in paths: base[p] = blob(R, p)
    v2 = dict(base)
    for p in paths:
        if R.random() < 0.5: v2[p] = blob(R, p)
    for p in paths[-3:]: del v2[p]
    for j in range(3): v2["usr/share/%s/new/n%d.dat" % (n, j)] = blob(R)
    for v, files in (("v1", base), ("v2", v2)):
        root = os.path.join(a.out, v, n); os.makedirs(root, exist_ok=True)
        ent = {}
        for p, d in files.items():
            put(root, p, d, 0o755 if p.startswith("usr/bin/") else 0o644)
            ent[p] = hashlib.sha256(d).hexdigest(); tot[v][0] += 1; tot[v][1] += len(d)
        for l in ("usr/lib/lib%s.so.1" % n, "usr/lib/lib%s.so" % n):
            q = os.path.join(root, l)
            if not os.path.lexists(q): os.symlink("lib%s.so.1.0" % n, q)
            os.utime(q, (MT, MT), follow_symlinks=False)
            ent[l] = "->lib%s.so.1.0" % n
        for d, ds, fs in os.walk(root, topdown=False): os.utime(d, (MT, MT))
        man[v][n] = ent
json.dump(man, open(os.path.join(a.out, "manifest.json"), "w"))
print({v: {"files": t[0], "bytes": t[1]} for v, t in tot.items()})
