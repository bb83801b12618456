#!/usr/bin/env python3
"""Times any operator on a real control plane, knowing nothing of it; needs only requests.

It makes a fresh namespace, starts the operator, creates --count custom resources with --threads
writers, watches until every expected child object exists, waits until the operator stops writing,
then measures a steady window. It prints one JSON line; exit status 0 = converged, 1 = not,
2 = could not be run.

  operator_bench.py --kubeconfig run/kc --operator-kubeconfig run/kc-operator \\
    --audit-log run/audit.log --operator-cmd "./manager --metrics-bind-address 127.0.0.1:8080" \\
    --resource prism.io/v1alpha1/prismpatterns --manifest plain.yaml --manifest hpa.yaml \\
    --count 500 --expect apps/v1/deployments=1 --expect v1/services=1 \\
    --expect autoscaling/v2/horizontalpodautoscalers=0.5 --cr-ready status.phase=Running

--manifest   a Python format string (YAML or JSON; write literal braces twice) given {name},
             {namespace} and {i}. Repeated: object i takes manifest i % len.
--expect     [group/]version/plural=PER_OBJECT children (default 1), counted in the namespace.
--audit-log  exact attribution: write requests whose (impersonated) user is --operator-user. The
             apiserver must log create/update/patch/delete at level Metadata, and the operator needs
             an identity of its own. Without it, writes are taken from apiserver_request_total: the
             CR with every subresource (less our own creates) plus the expected kinds without
             subresource. Other controllers' writes to those (garbage collection) would count too.
--cold       create the objects first and only then start the operator (a restart with N objects);
             times count from the operator's start.
--delete     at the end, delete all CRs with the operator running and time until they and the
             children are gone.

converge_s             first create sent (or operator started, --cold) -> last expected child seen
ready_s                same start -> last CR satisfying --cr-ready
settle_s               same start -> last operator write before --quiet seconds without any
writes_per_object      operator write requests until settled, per object (refused ones included)
steady_writes_per_min  operator write requests per minute over --steady seconds after that; 0 is
                       right
cpu_s, max_rss_mib     operator's process tree until settled; steady_cpu_s is the steady window's
"""

import argparse
import base64
import collections
import contextlib
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests

with contextlib.suppress(AttributeError):
    requests.packages.urllib3.disable_warnings()

WRITE_METHODS = {"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
WRITE_VERBS = {"create", "update", "patch", "delete", "deletecollection"}


class Api:
    """One cluster, one user, read from a kubeconfig (JSON, or YAML with a single user)."""

    def __init__(self, path):
        text, base = Path(path).read_text(), os.path.dirname(os.path.abspath(path))

        def field(key):
            m = re.search(rf'["\s{{,]{re.escape(key)}["]?\s*:\s*["\']?([^"\'\s,}}]+)', text)
            return m and m.group(1)

        def file_of(key):
            if field(key + "-data"):
                fd, name = tempfile.mkstemp(prefix="bench-")
                with os.fdopen(fd, "wb") as f:
                    f.write(base64.b64decode(field(key + "-data")))
                return name
            return field(key) and os.path.join(base, field(key))

        self.server = (field("server") or "").rstrip("/")
        if not self.server:
            raise SystemExit(f"no server in kubeconfig {path}")
        self.token = field("token")
        cert, key = file_of("client-certificate"), file_of("client-key")
        self.cert = (cert, key) if cert and key else None
        self.verify = (
            False
            if field("insecure-skip-tls-verify") == "true"
            else (file_of("certificate-authority") or True)
        )

    def session(self):
        s = requests.Session()
        s.trust_env = False
        s.verify, s.cert = self.verify, self.cert
        if self.token:
            s.headers["Authorization"] = "Bearer " + self.token
        return s

    def url(self, gvr, namespace=None, name=None):
        *gv, plural = gvr.split("/")
        u = self.server + ("/apis/" if len(gv) == 2 else "/api/") + "/".join(gv)
        return (
            u
            + ("/namespaces/" + namespace if namespace else "")
            + "/"
            + plural
            + ("/" + name if name else "")
        )


class Watch(threading.Thread):
    """Lists and watches one kind in one namespace; remembers when each name was first seen."""

    def __init__(self, api, gvr, namespace, ready=None):
        super().__init__(daemon=True)
        self.api, self.gvr, self.namespace, self.ready = api, gvr, namespace, ready
        self.seen, self.owner, self.ready_at, self.live, self.events = {}, {}, {}, set(), 0
        self.stop, self.synced = False, threading.Event()

    def note(self, kind, obj):
        now, meta = time.monotonic(), obj["metadata"]
        name = meta["name"]
        self.events += 1
        if kind == "DELETED":
            self.live.discard(name)
            return
        self.live.add(name)
        if name not in self.seen:
            self.owner[name] = next((o["name"] for o in meta.get("ownerReferences", [])), name)
            self.seen[name] = now
        if self.ready and name not in self.ready_at and self.ready(obj):
            self.ready_at[name] = now

    def run(self):
        s, url = self.api.session(), self.api.url(self.gvr, self.namespace)
        how = (
            "application/json"
            if self.ready
            else "application/json;as=PartialObjectMetadata%s;g=meta.k8s.io;v=v1"
        )
        while not self.stop:
            try:
                r = s.get(url, headers={"Accept": how % "List" if "%s" in how else how}, timeout=60)
                r.raise_for_status()
                body = r.json()
                self.live = set()
                for o in body["items"] or []:
                    self.note("ADDED", o)
                self.synced.set()
                with s.get(
                    url,
                    stream=True,
                    timeout=(10, 400),
                    headers={"Accept": how % "" if "%s" in how else how},
                    params={
                        "watch": 1,
                        "resourceVersion": body["metadata"]["resourceVersion"],
                        "timeoutSeconds": 300,
                    },
                ) as w:
                    w.raise_for_status()
                    for line in w.iter_lines(chunk_size=None):
                        if self.stop:
                            return
                        if not line:
                            continue
                        e = json.loads(line)
                        if e["type"] == "ERROR":
                            break
                        if e["type"] != "BOOKMARK":
                            self.note(e["type"], e["object"])
            except (requests.RequestException, ValueError, KeyError):
                time.sleep(0.5)


class AuditWrites(threading.Thread):
    """Operator's write requests, from the apiserver's audit log (read from its current end)."""

    def __init__(self, path, user):
        super().__init__(daemon=True)
        self.path, self.user, self.by, self.codes = (
            path,
            user,
            collections.Counter(),
            collections.Counter(),
        )
        self.times, self.stop = [], False
        self.file = Path(path).open("rb")  # noqa: SIM115 – open as long as this object
        self.file.seek(0, 2)
        self.lock, self.rest = threading.Lock(), b""

    def poll(self):
        with self.lock:
            self.rest += self.file.read()
            try:
                if (
                    os.stat(self.path).st_ino != os.fstat(self.file.fileno()).st_ino
                ):  # rotated: finish the old file
                    self.rest += self.file.read()
                    self.file = Path(self.path).open("rb")  # noqa: SIM115 – open as long as this object
                    self.rest += self.file.read()
            except OSError:
                pass
            *lines, self.rest = self.rest.split(b"\n")
            now = time.monotonic()
            for line in lines:
                if not line:
                    continue
                e = json.loads(line)
                who = e.get("impersonatedUser") or e.get("user") or {}
                if (
                    e.get("verb") not in WRITE_VERBS
                    or e.get("stage") == "RequestReceived"
                    or who.get("username") != self.user
                ):
                    continue
                o = e.get("objectRef") or {}
                what = o.get("resource", "?") + (
                    "/" + o["subresource"] if o.get("subresource") else ""
                )
                self.by["{} {}".format(e["verb"], what)] += 1
                self.codes[str((e.get("responseStatus") or {}).get("code"))] += 1
                self.times.append(now)

    def run(self):
        while not self.stop:
            self.poll()
            time.sleep(0.5)

    def total(self):
        self.poll()
        return len(self.times)

    def own(self, n):
        pass

    every = 0.5


class MetricWrites:
    """The same from apiserver_request_total: approximate, see --audit-log."""

    line = re.compile(r"^apiserver_request_total\{(.*)\} ([0-9.e+]+)$")

    def __init__(self, api, cr, kinds):
        self.api, self.s, self.cr = api, api.session(), cr.split("/")[-1]
        self.want = {self.key(cr): True, **{self.key(k): False for k in kinds}}
        self.by, self.codes, self.times = collections.Counter(), collections.Counter(), []
        self.base = self.scrape()

    @staticmethod
    def key(gvr):
        *gv, plural = gvr.split("/")
        return (gv[0] if len(gv) == 2 else "", plural)

    def scrape(self):
        got = collections.Counter()
        for row in self.s.get(self.api.server + "/metrics", timeout=60).text.splitlines():
            m = self.line.match(row)
            if not m:
                continue
            lab = dict(re.findall(r'(\w+)="([^"]*)"', m.group(1)))
            key = (lab["group"], lab["resource"])
            if (
                lab["verb"] in WRITE_METHODS
                and key in self.want
                and (self.want[key] or not lab["subresource"])
            ):
                sub = "/" + lab["subresource"] if lab["subresource"] else ""
                got["{} {}".format(lab["verb"].lower(), lab["resource"] + sub), lab["code"]] += int(
                    float(m.group(2))
                )
        return got

    def own(self, n):
        if n:
            self.base["post " + self.cr, "201"] += n

    def total(self):
        got = self.scrape() - self.base
        self.by, self.codes = collections.Counter(), collections.Counter()
        for (what, code), n in got.items():
            self.by[what] += n
            self.codes[code] += n
        n = sum(got.values())
        self.times.extend([time.monotonic()] * (n - len(self.times)))
        return n

    def start(self):
        pass

    every = 3.0


class Operator:
    """The operator's process tree: everything in the session it was started in."""

    def __init__(self, cmd, kubeconfig, log, env):
        self.max_rss, self.cpu_gone, self.last = 0.0, 0.0, {}
        self.out = Path(log).open("wb")  # noqa: SIM115 – open as long as this object
        self.proc = subprocess.Popen(
            shlex.split(cmd),
            stdout=self.out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "KUBECONFIG": os.path.abspath(kubeconfig), **env},
        )
        self.on = True
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while self.on:
            self.sample()
            time.sleep(0.25)

    def sample(self):
        page, tick, rss, now = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK"), 0, {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                f = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(f[3]) == self.proc.pid:
                now[pid] = (int(f[11]) + int(f[12])) / tick
                rss += int(f[21]) * page
        try:
            hwm = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.proc.pid}/status").read_text())
            rss = max(rss, int(hwm.group(1)) * 1024 if hwm else 0)
        except OSError:
            pass
        self.cpu_gone += sum(t for p, t in self.last.items() if p not in now)
        self.last, self.max_rss = now, max(self.max_rss, rss / 2**20)
        return self.cpu_gone + sum(now.values())

    def close(self):
        self.on = False
        for sig, wait in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
            if self.proc.poll() is None:
                try:
                    os.killpg(self.proc.pid, sig)
                    self.proc.wait(wait)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    pass


def create_all(api, args, templates, url):
    sent, errors, todo, lock = {}, [], iter(range(args.count)), threading.Lock()

    def worker():
        s = api.session()
        while True:
            with lock:
                i = next(todo, None)
            if i is None:
                return
            name = f"{args.prefix}-{i:05d}"
            body = templates[i % len(templates)].format(name=name, namespace=args.namespace, i=i)
            kind = "json" if body.lstrip().startswith("{") else "yaml"
            sent[name] = time.monotonic()
            for attempt in range(5):
                try:
                    r = s.post(
                        url,
                        data=body.encode(),
                        headers={"Content-Type": "application/" + kind},
                        timeout=60,
                    )
                    if r.status_code == 409 and attempt:
                        break
                    if r.status_code == 429 or r.status_code >= 500:
                        time.sleep(0.2 * 2**attempt)
                        continue
                    if r.status_code != 201:
                        errors.append(f"{r.status_code} {r.text[:300]}")
                    break
                except requests.RequestException as e:
                    if attempt == 4:
                        errors.append(repr(e)[:300])

    threads = [threading.Thread(target=worker) for _ in range(args.threads)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return sent, time.monotonic(), errors


def quantile(values, q):
    values = sorted(values)
    return (
        round(values[min(len(values) - 1, math.ceil(q * len(values)) - 1)], 3) if values else None
    )


def predicate(text):
    path, _, want = text.partition("=")

    def check(obj):
        for part in path.split("."):
            m = re.fullmatch(
                r"(\w+)\[(\w+)\]", part
            )  # conditions[Ready] = the condition of that type
            obj = obj.get(m.group(1) if m else part) if isinstance(obj, dict) else None
            if m:
                obj = next((c for c in obj or [] if c.get("type") == m.group(2)), None)
        return str(obj) == want

    return check


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--kubeconfig", required=True)
    ap.add_argument("--operator-kubeconfig", help="default: --kubeconfig")
    ap.add_argument("--operator-cmd", required=True)
    ap.add_argument("--operator-env", action="append", default=[], metavar="K=V")
    ap.add_argument("--operator-log", default="operator.log")
    ap.add_argument("--operator-ready-url", help="polled before the clock starts")
    ap.add_argument(
        "--warmup",
        type=float,
        default=5,
        help="seconds between the operator being ready and the clock",
    )
    ap.add_argument(
        "--resource", required=True, metavar="GROUP/VERSION/PLURAL", help="the custom resource"
    )
    ap.add_argument("--manifest", action="append", required=True)
    ap.add_argument("--count", type=int, default=500)
    ap.add_argument("--threads", type=int, default=8)
    ap.add_argument("--prefix", default="bench")
    ap.add_argument("--namespace", default=f"bench-{time.time():.0f}")
    ap.add_argument(
        "--expect", action="append", default=[], metavar="[GROUP/]VERSION/PLURAL[=PER_OBJECT]"
    )
    ap.add_argument(
        "--cr-ready",
        metavar="PATH=VALUE",
        help="e.g. status.phase=Running or status.conditions[Ready].status=True",
    )
    ap.add_argument("--audit-log")
    ap.add_argument("--operator-user", default="operator")
    ap.add_argument(
        "--timeout", type=float, default=900, help="for convergence, and again for settling"
    )
    ap.add_argument("--quiet", type=float, default=10)
    ap.add_argument("--steady", type=float, default=120)
    ap.add_argument("--cold", action="store_true")
    ap.add_argument("--delete", action="store_true")
    args = ap.parse_args()

    api = Api(args.kubeconfig)
    s = api.session()
    templates = [Path(p).read_text() for p in args.manifest]
    expect = {}
    for e in args.expect or ["apps/v1/deployments"]:
        gvr, _, per = e.partition("=")
        expect[gvr] = round(args.count * float(per or 1))
    r = s.get(api.url(args.resource), params={"limit": 1}, timeout=30)
    if r.status_code != 200 or r.json().get("items"):
        print(
            f"the cluster must serve {args.resource} and hold none yet: "
            f"{r.status_code} {r.text[:200]}",
            file=sys.stderr,
        )
        return 2
    r = s.post(api.url("v1/namespaces"), json={"metadata": {"name": args.namespace}}, timeout=30)
    if r.status_code not in (201, 409):
        print(f"cannot make namespace: {r.text[:300]}", file=sys.stderr)
        return 2
    watches = {g: Watch(api, g, args.namespace) for g in expect}
    cr = Watch(
        api, args.resource, args.namespace, predicate(args.cr_ready) if args.cr_ready else None
    )
    for w in (*watches.values(), cr):
        w.start()
        if not w.synced.wait(30):
            print(f"cannot list {w.gvr}", file=sys.stderr)
            return 2
    env = dict(e.split("=", 1) for e in args.operator_env)
    writes = (
        AuditWrites(args.audit_log, args.operator_user)
        if args.audit_log
        else MetricWrites(api, args.resource, expect)
    )
    url = api.url(args.resource, args.namespace)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # still stops the operator

    def launch():
        o = Operator(
            args.operator_cmd, args.operator_kubeconfig or args.kubeconfig, args.operator_log, env
        )
        until = time.monotonic() + 60
        while (
            args.operator_ready_url
            and not args.cold
            and time.monotonic() < until
            and o.proc.poll() is None
        ):
            time.sleep(0.2)
            try:
                if requests.get(args.operator_ready_url, timeout=2).ok:
                    break
            except requests.RequestException:
                pass
        if not args.cold:
            time.sleep(args.warmup)
        return o

    op = None
    try:
        if not args.cold:
            op = launch()
        began = time.monotonic()
        writes.start()
        before = writes.total()
        cpu0 = op.sample() if op else 0.0
        sent, created, errors = create_all(api, args, templates, url)
        writes.own(args.count - len(errors))
        start = min(sent.values())
        if args.cold:
            op, start = launch(), time.monotonic()

        def missing():
            left = {
                g: expect[g] - len(w.seen) for g, w in watches.items() if len(w.seen) < expect[g]
            }
            if args.cr_ready and len(cr.ready_at) < args.count:
                left["ready"] = args.count - len(cr.ready_at)
            return left

        while missing() and time.monotonic() < start + args.timeout and op.proc.poll() is None:
            time.sleep(0.1)
        left, settle_limit = missing(), time.monotonic() + args.timeout
        while time.monotonic() < settle_limit and op.proc.poll() is None:
            writes.total()
            if time.monotonic() - max([began, created, *writes.times[-1:]]) >= args.quiet:
                break
            time.sleep(writes.every)
        n_settle, cpu_settle, t_settle = writes.total(), op.sample() - cpu0, time.monotonic()
        settled = t_settle < settle_limit and op.proc.poll() is None
        by_settle, codes, rss = dict(writes.by), dict(writes.codes), op.max_rss
        steady_until = t_settle + args.steady
        while time.monotonic() < steady_until and op.proc.poll() is None:
            time.sleep(0.5)
        n_end, t_end = writes.total(), time.monotonic()
        by_steady = {
            k: v - by_settle.get(k, 0) for k, v in writes.by.items() if v != by_settle.get(k, 0)
        }
        steady_cpu = op.sample() - cpu0 - cpu_settle

        last = {
            g: round(sorted(w.seen.values())[min(expect[g], len(w.seen)) - 1] - start, 3)
            for g, w in watches.items()
            if w.seen and expect[g]
        }
        done = {}
        for w in watches.values():
            for name, at in w.seen.items():
                owner = w.owner[name]
                if owner in sent:
                    done[owner] = max(done.get(owner, 0), at)
        lat = [at - (start if args.cold else sent[name]) for name, at in done.items()]
        stamps, peak, lo = writes.times[before:], 0, 0
        for hi, t in enumerate(stamps):
            while stamps[lo] < t - 5:
                lo += 1
            peak = max(peak, hi - lo + 1)
        minutes = max(t_end - t_settle, 1e-9) / 60
        children_left = {g: v for g, v in left.items() if g != "ready"}
        out = {
            "count": args.count,
            "cold": args.cold,
            "converged": not left and not errors,
            "converge_s": None if children_left or not last else max(last.values()),
            "ready_s": round(max(cr.ready_at.values()) - start, 3)
            if args.cr_ready and not left.get("ready")
            else None,
            "settle_s": round(max([start, *[t for t in stamps if t <= t_settle][-1:]]) - start, 3)
            if settled
            else None,
            "writes_per_object": round((n_settle - before) / args.count, 3),
            "steady_writes_per_min": round((n_end - n_settle) / minutes, 2),
            "cpu_s": round(cpu_settle, 2),
            "steady_cpu_s": round(steady_cpu, 2),
            "max_rss_mib": round(rss, 1),
            "max_rss_mib_end": round(op.max_rss, 1),
            "create_s": round(created - min(sent.values()), 3),
            "last_child_s": last,
            "missing": left,
            "object_latency_s": {
                "p50": quantile(lat, 0.5),
                "p95": quantile(lat, 0.95),
                "p99": quantile(lat, 0.99),
            },
            "peak_writes_per_s": round(peak / 5, 1),
            "write_source": "audit" if args.audit_log else "metrics",
            "writes_by": dict(sorted(by_settle.items())),
            "write_codes": codes,
            "steady_writes_by": by_steady,
            "create_errors": len(errors),
            "first_create_error": errors[:1],
            "operator_exit": op.proc.poll(),
            "namespace": args.namespace,
        }
        if args.delete:
            t0 = time.monotonic()
            s.delete(url, json={"propagationPolicy": "Background"}, timeout=120)
            while time.monotonic() < t0 + args.timeout and (
                cr.live or any(w.live for w in watches.values())
            ):
                time.sleep(0.2)
            gone = not cr.live and not any(w.live for w in watches.values())
            out["delete_s"] = round(time.monotonic() - t0, 3) if gone else None
            out["delete_writes_per_object"] = round((writes.total() - n_end) / args.count, 3)
            s.delete(api.url("v1/namespaces", None, args.namespace), timeout=60)
        print(json.dumps(out), flush=True)
        return 0 if out["converged"] else 1
    finally:
        if op:
            op.close()


if __name__ == "__main__":
    sys.exit(main())
