"""Checks an evidence pack of a Countersign log, with nothing but Python's standard library and
ssh-keygen. verify.sh calls it, after it compared the files with manifest.sha256.

What is checked, in this order:
 1  no file is there that the manifest does not name
 2  the keys of the log, from the first entry to each that replaced one; the head is signed by those
    in force at its size (Ed25519, RFC 8032)
 3  the hashes in tile/ have the head's root (RFC 6962), and every head given with --head
 4  each entry is the leaf at its position; its fields; who could sign, as an unbroken chain; in
    system mode by what right each change of rules took force
 5  no entry of the period is missing
 6  each decision, and each word on rules: file, signature (ssh-keygen), and every word against the
    entries and the tree
 7  each request: enough of the right people, before its use, used once, run only then
 8  each document, and the rules, have the digests that the entries name
 9  population.csv, roster.csv, controls.csv and pack.json say what the entries say
What is not checked: README.txt, usage.csv and report.html, which are for reading; whether the keys
in allowed_signers/ are the people's; what an agent's side reports about its runs.
"""
import argparse, base64, binascii, concurrent.futures, csv, datetime, hashlib, json, os, re
import subprocess, sys

problems = []


def say(text, to=sys.stdout):
    """Prints a line. Texts come from whoever made the pack: nothing of them may act on a terminal."""
    plain = "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)
    print(plain, file=to)


def bad(place, problem):
    problems.append(f"{place}: {problem}")


def expect(is_so, place, problem):
    if not is_so:
        bad(place, problem)
    return is_so


def read(name):
    with open(os.path.join(root_directory, name), "rb") as file:
        return file.read()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# Ed25519, as in RFC 8032 section 6, without signing.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, j, k, f = f - e, h - g, h + g, e + f
    return e * j % P, k * f % P, j * k % P, e * f % P


def times(n, point):
    result = (0, 1, 1, 0)
    while n:
        if n & 1:
            result = add(result, point)
        point, n = add(point, point), n >> 1
    return result


def same_point(a, b):
    return not ((a[0] * b[2] - b[0] * a[2]) % P or (a[1] * b[2] - b[1] * a[2]) % P)


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P or not x and sign:
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(public, message, signature):
    a, r = point(public), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(public) != 32 or len(signature) != 64 or a is None or r is None or s >= L:
        return False
    if same_point(times(8, a), (0, 1, 1, 0)):
        return False  # a key of small order signs anything
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return same_point(times(s, BASE), add(r, times(h, a)))


# The tree of RFC 6962, and heads as signed notes.


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """The right edge of a growing tree: the roots of its complete subtrees, the largest first."""

    def __init__(self):
        self.size, self.edge = 0, []

    def push(self, hash_):
        index, self.size = self.size, self.size + 1
        while index & 1:
            hash_, index = node(self.edge.pop(), hash_), index >> 1
        self.edge.append(hash_)

    def root(self):
        if not self.edge:
            return hashlib.sha256(b"").digest()
        parts = self.edge[::-1]
        result = parts[0]
        for part in parts[1:]:
            result = node(part, result)
        return result


def public_key(vkey):
    """Returns name, key id and the 32 bytes of an Ed25519 key."""
    name, key_id, key = vkey.split("+", 2)
    key = base64.b64decode(key, validate=True)
    if len(key) != 33 or key[0] != 1 or hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() != key_id:
        raise ValueError("the log's key is not one")
    return name, key_id, key[1:]


class Keys:
    """The keys of the log, each with the sizes of the heads that it signs: the one in log.genesis; the
    next from behind its key.rotated; and none up to the key.retired of the one before alone."""

    def __init__(self, origin):
        self.origin, self.spans, self.handovers = origin, [], []

    def take(self, entry):
        seq, body, last = entry["seq"], entry["body"], self.spans[-1:]
        ending = [span for span in self.spans[:-1] if span["to"] is None]
        if entry["type"] == "log.genesis" and not last:
            self.put(body["vkey"], 0)
        elif entry["type"] == "key.rotated":
            if not last or last[0]["vkey"] != body["old"] or ending:
                raise ValueError("replaces another key than the one in force, or while one is ending")
            if public_key(body["new"])[1] in [public_key(span["vkey"])[1] for span in self.spans]:
                raise ValueError("announces a key that the log had before")
            last[0]["until"] = body["until"]
            self.put(body["new"], seq + 1)
        elif entry["type"] == "key.retired":
            if not ending or ending[0]["vkey"] != body["vkey"]:
                raise ValueError("ends a key that is not ending")
            if body["reason"] is None and millis(entry["time"]) < millis(ending[0]["until"]):
                raise ValueError("ends a key before its time, and gives no reason")
            size, root = self.open(body["head"])
            if not last[0]["from"] <= size <= seq:
                raise ValueError("holds a head that is not of the time of both keys")
            self.handovers.append((size, root, f"entry {seq}"))
            ending[0]["to"] = seq

    def put(self, vkey, first):
        if public_key(vkey)[0] != self.origin:
            raise ValueError("names a key of another log")
        self.spans.append({"vkey": vkey, "from": first, "to": None, "until": None})

    def open(self, text, each=True):
        """Returns size and root of a head that all keys of its size signed, and no other of the log's;
        of one that was kept elsewhere (not each), one of them is enough. Raises otherwise."""
        body, _, signatures = text.rpartition("\n\n")
        body += "\n"
        by = set()
        keys = {public_key(span["vkey"])[:2]: span["vkey"] for span in self.spans}
        for line in signatures.splitlines():
            dash, signer, signature = line.split(" ")
            signature = base64.b64decode(signature, validate=True)
            vkey = keys.get((signer, signature[:4].hex()))
            if dash == "\u2014" and vkey:
                if not signed(public_key(vkey)[2], body.encode(), signature[4:]):
                    raise ValueError("the signature of the head is wrong")
                by.add(vkey)
        if not by:
            raise ValueError(f"the head is not signed by {self.origin}")
        origin, size, root = body[:-1].split("\n")
        if origin != self.origin or str(int(size)) != size:
            raise ValueError("the head is of another log, or its size is not a number")
        size = int(size)
        needed = {span["vkey"] for span in self.spans
                  if span["from"] <= size and (span["to"] is None or size <= span["to"])}
        if each and by - needed:
            raise ValueError(f"the head of {size} entries is signed by a key that did not sign the log then")
        if not by & needed or each and needed - by:
            raise ValueError(f"the head of {size} entries is not signed by a key that signed the log then")
        return size, base64.b64decode(root, validate=True)

    def policy(self):
        """The text of trust-policy."""
        text = ""
        for span in self.spans:
            sizes = f"{span['from']} entries and more" if span["to"] is None else f"{span['from']} to {span['to']} entries"
            text += f"# signs heads of {sizes}\nlog {span['vkey']}\n"
        return text + "quorum none\n"


def told_keys(pack):
    """Follows the keys in the entries, which are compared with the tree later."""
    keys = Keys(pack["origin"])
    for line in read("entries.jsonl").split(b"\n")[:-1]:
        if b'"log.genesis"' in line or b'"key.r' in line:
            entry = strict_json(line)
            try:
                keys.take(entry)
            except ValueError as error:
                bad(f"entry {entry['seq']}", str(error))
    expect(any(span["vkey"] == vkey for span in keys.spans), "entry 0", "the log was never signed with the key it is checked with")
    expect(keys.spans and pack["vkey"] == keys.spans[-1]["vkey"], "pack.json", "names another log key")
    expect(pack["keys"] == keys.spans, "pack.json", "names other keys, or other heads of theirs")
    expect(read("trust-policy").decode() == keys.policy(), "trust-policy", "is not what the entries say")
    return keys


def number(n, width):
    text = f"{n % 1000:03d}"
    while n >= 1000:
        n //= 1000
        text = f"x{n % 1000:03d}/{text}"
    return text if width == 256 else f"{text}.p/{width}"


def tiles(level, count):
    hashes = []
    for first in range(0, count, 256):
        width = min(256, count - first)
        data = read(f"tile/{level}/{number(first // 256, width)}")
        if len(data) != 32 * width:
            raise ValueError(f"tile/{level}/{number(first // 256, width)} has another length")
        hashes += [data[at : at + 32] for at in range(0, len(data), 32)]
    return hashes


# Entries.


def no_duplicates(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return result


def strict_json(data):
    return json.loads(data, object_pairs_hook=no_duplicates)


FIELDS = {"v", "log", "seq", "time", "clock", "type", "actor", "request", "separation", "body"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def millis(text):
    if not TIME.fullmatch(text):
        raise ValueError(f"`{text}` is not a time")
    at = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return round((at - datetime.datetime(1970, 1, 1)) / datetime.timedelta(milliseconds=1))


def roster_of(entry):
    """Returns the rules that an entry puts in force, if it does."""
    if entry["type"] == "log.genesis":
        return entry["body"]["rules"]
    return entry["body"] if entry["type"] == "rules.changed" else None


def act_of(entry):
    """Returns what a person signed in an entry, if anybody did."""
    act = entry["body"].get("act") or entry["body"]
    return act if "statement_base64" in act else None


ACTS = {
    "decision.recorded": "decision",
    "request.revoked": "revoke",
    "execution.kill-requested": "kill",
    "request.escalated": "escalate",
    "execution.settled": "settle",
    "debt.closed": "close-debt",
    "rules.signed": "rules",
    "rules.acknowledged": "rules",
}
ASSURANCE = ("file", "ssh-agent", "unlocked", "passphrase", "touch", "pin")
SIGNING = {"signers": 1, "assurance": "file"}


def keys_of(roster, name):
    """Returns the lines of a person's keys, by key, each with the time from which it no longer signs."""
    lines = [line for line in roster["allowed_signers"].split("\n") if line.split(" ")[0] == name]
    options = [line.split(" ", 2)[1] for line in lines]
    ends = [re.search(r'valid-before="([0-9]+Z?)"', option) for option in options]
    return {line.split(" ", 2)[2]: end and end.group(1) for line, end in zip(lines, ends)}


def gained(old, new):
    """Returns whom a change of rules adds, or whose account or keys it changes."""
    before = {member["name"]: member["uid"] for member in old["members"]}
    return {m["name"] for m in new["members"] if before.get(m["name"]) != m["uid"]
            or list(keys_of(old, m["name"]).items()) != list(keys_of(new, m["name"]).items())}


def only_takes(old, new):
    """Tells whether a change of rules only takes people, groups, keys or listed names away."""
    before = {member["name"]: member for member in old["members"]}
    for member in new["members"]:
        known = before.get(member["name"])
        if known is None or member["uid"] != known["uid"] or not set(member["groups"]) <= set(known["groups"]):
            return False
        keys = keys_of(old, member["name"])
        for key, end in keys_of(new, member["name"]).items():
            if key not in keys or keys[key] and not (end and instant(end) <= instant(keys[key])):
                return False
    return (set(new.get("break_glass", [])) <= set(old.get("break_glass", []))
            and new.get("signing", SIGNING) == old.get("signing", SIGNING))


def instant(text):
    """Makes times of allowed_signers comparable: YYYYMMDD[HHMM[SS]], with or without Z."""
    return text.rstrip("Z").ljust(14, "0")


def string(data, at):
    length = int.from_bytes(data[at : at + 4], "big")
    return data[at + 4 : at + 4 + length], at + 4 + length


def presence(sshsig):
    """Returns the flags of a security key, 0 for other keys (PROTOCOL.sshsig, PROTOCOL.u2f)."""
    lines = [line for line in sshsig.split("\n") if line and not line.startswith("-----")]
    data, at = base64.b64decode("".join(lines)), 10
    for _ in range(4):  # key, namespace, reserved, hash
        _, at = string(data, at)
    signature, _ = string(data, at)
    kind, at = string(signature, 0)
    _, at = string(signature, at)
    return signature[at] if kind.startswith(b"sk-") else 0


def ssh_keygen(seq, signers, reviewer, namespace, at):
    """Has stock ssh-keygen judge decisions/<seq>.json; returns what it said when it refused."""
    name = os.path.join(root_directory, "decisions", f"{seq}.json")
    command = ["ssh-keygen", "-Y", "verify", "-f", os.path.join(root_directory, signers)]
    command += ["-I", reviewer, "-n", namespace, "-s", name + ".sig"]
    command += ["-O", "verify-time=" + re.sub(r"[-:T]|\..*", "", at)]
    with open(name, "rb") as statement:
        done = subprocess.run(command, stdin=statement, capture_output=True,
                              env={"PATH": os.environ.get("PATH", ""), "TZ": "UTC"})
    return None if done.returncode == 0 else done.stderr.decode("utf-8", "replace").strip()


class Log:
    """The entries of the pack, and what follows from them."""

    def __init__(self, pack, leaves):
        self.pack, self.leaves = pack, leaves
        self.begin, self.end = pack["range"]["begin"], pack["range"]["end"]
        self.entries, self.rosters, self.requests = {}, [], {}
        self.signable = {}  # what a word on rules is about: the rules, those before them, and where they stand

    def load(self):
        last = -1
        for line in read("entries.jsonl").split(b"\n")[:-1]:
            entry = strict_json(line)
            seq = entry["seq"]
            place = f"entry {seq}"
            if not expect(0 <= seq < len(self.leaves), place, "the log has no such position"):
                continue
            expect(leaf_hash(line) == self.leaves[seq], place, "is not the one in the log's tree")
            expect(last < seq, place, "stands out of its order, or twice")
            expect(set(entry) == FIELDS and entry["v"] == 1, place, "has not the fields of an entry")
            expect(entry["log"] == self.pack["origin"], place, "is of another log")
            last = seq
            self.entries[seq] = entry
            if roster_of(entry):
                self.rosters.append(seq)
            if entry["request"] and (seq < self.end or self.pack["scope"]["kind"] == "request"):
                self.requests.setdefault(entry["request"], []).append(entry)
        if self.pack["scope"]["kind"] == "period":
            inside = range(self.begin, self.end)
            self.requests = {name: entries for name, entries in self.requests.items()
                             if any(entry["seq"] in inside for entry in entries)}
        else:
            only = self.pack["scope"]["request"]
            self.requests = {only: self.requests[only]}

    def people(self):
        """Who could sign: an unbroken chain from the first entry on."""
        if not expect(self.rosters[:1] == [0], "entry 0", "is not here, or begins no log"):
            return
        genesis = self.entries[0]
        expect(genesis["type"] == "log.genesis", "entry 0", "is not the log's first")
        in_force = genesis["body"]["rules"]["previous"]
        for seq in self.rosters:
            roster = roster_of(self.entries[seq])
            expect(roster["previous"] == in_force, f"entry {seq}", "a change of rules before it is missing")
            in_force = roster["rules"]
            name = f"allowed_signers/{seq}"
            expect(read(name) == roster["allowed_signers"].encode(), name, "is not as in the entry")
        names = set(os.listdir(os.path.join(root_directory, "allowed_signers")))
        expect(names == {str(seq) for seq in self.rosters}, "allowed_signers", "has other files")

    def rightful(self):
        """By what right rules took force: signatures of enough people, not only of those who gain by
        it; or they only take away; or the operator adopted them, for all to see."""
        system = self.entries[0]["body"]["mode"] == "system"
        force, proposal, signed, adopted = self.entries[0]["body"]["rules"], None, set(), None
        for seq in sorted(self.entries):
            entry, place = self.entries[seq], f"entry {seq}"
            kind, body = entry["type"], entry["body"]
            if kind in ("rules.proposed", "rules.withdrawn", "rules.changed"):
                expect(entry["actor"]["kind"] == "daemon", place, "is not the daemon's")
            if kind == "rules.proposed":
                expect(system and body["previous"] == force["rules"] != body["rules"], place, "proposes rules in the place of others than those in force")
                proposal, signed = (body["rules"], body["previous"], seq), set()
            elif kind == "rules.withdrawn":
                expect(proposal and proposal[0] == body["rules"], place, "withdraws rules that were not proposed")
                proposal = None
            elif kind == "rules.signed":
                name = body["act"]["member"]["name"]
                if expect(proposal and proposal[0] == body["rules"], place, "signs rules that are not proposed"):
                    expect(name not in signed, place, f"{name} signs the same rules again")
                    self.signable[seq] = proposal
                    signed.add(name)
            elif kind == "rules.acknowledged":
                if expect(adopted and adopted[0] == body["rules"], place, "acknowledges rules that nobody adopted"):
                    self.signable[seq], adopted = adopted, None
            elif kind == "rules.changed":
                via = (body.get("via") or {}).get("kind")
                if not system or via is None:
                    expect(not system and via is None, place, "does not say by what right its rules took force")
                elif via == "signatures":
                    enough = len(signed) >= force.get("signing", SIGNING)["signers"] and signed - gained(force, body)
                    expect(proposal and proposal[0] == body["rules"] and enough, place, "took force without the signatures that it takes")
                elif via == "removal":
                    expect(only_takes(force, body), place, "does more than to take people, groups or keys away")
                else:
                    expect(via == "adoption" and body["via"]["reason"], place, "took force by no right that there is")
                    adopted = adopted or (body["rules"], body["previous"], seq)
                # Whoever acknowledges an adoption looks at all that changed since.
                adopted = adopted and (body["rules"],) + adopted[1:]
                force, proposal, signed = body, None, set()

    def rules_word(self, entry, act, said, subject, place):
        """Compares a person's word on rules with the change that it is about."""
        body, change = entry["body"], self.signable.get(entry["seq"])
        if not expect(change is not None, place, "is about no change of rules in the log"):
            return
        rules, previous, told = change
        expect(entry["actor"]["id"] == act["member"]["name"] and entry["actor"]["kind"] == "reviewer", place, "is not brought by the person who signed")
        expect(subject["name"] == "rules" and "sha256:" + subject["digest"]["sha256"] == body["rules"] == rules, place, "is about other rules")
        expect(said["rules"] == previous, place, "replaces other rules than it says")
        expect(told < said["log"]["size"] <= entry["seq"], place, "names a head that cannot have been seen")
        force = roster_of(self.entries[self.roster_before(entry["seq"])])
        needed, found = force.get("signing", SIGNING)["assurance"], said["assurance"]
        expect(ASSURANCE.index(found) >= ASSURANCE.index(needed), place, f"is less sure than {needed}")
        wanted = {"pin": 5, "touch": 1}.get(found, 0)
        expect(presence(act["sshsig"]) & wanted == wanted, place + ".sig", f"proves no {found}")

    def roster_before(self, seq, back=0):
        """Returns the position of the roster in force before an entry, or of the one before that."""
        earlier = [at for at in self.rosters if at < seq]
        return earlier[-1 - back] if len(earlier) > back else None

    def complete(self):
        """Nothing of the period is missing, and nothing beyond it belongs to it."""
        if self.pack["scope"]["kind"] != "period":
            return
        missing = [seq for seq in range(self.begin, self.end) if seq not in self.entries]
        expect(not missing, f"entry {missing[0] if missing else 0}", "of the period is missing")
        first = self.pack["scope"]["from"] and millis(self.pack["scope"]["from"])
        until = self.pack["scope"]["until"] and millis(self.pack["scope"]["until"])
        def inside(seq):
            at = millis(self.entries[seq]["time"])
            return (first is None or first <= at) and (until is None or at < until)
        for seq in self.begin - 1, self.end:
            if seq == self.begin - 1 and seq not in self.entries and self.pruned_to(self.begin):
                say(f"note: the entries before {self.begin} were pruned; that they are older is the log's word")
                continue
            if 0 <= seq < len(self.leaves) and expect(seq in self.entries, f"entry {seq}", "is missing: it would show that the period goes no further"):
                expect(not inside(seq), f"entry {seq}", "belongs to the period, which was cut off here")
        for seq in self.entries:
            expect(self.begin <= seq < self.end or not inside(seq), f"entry {seq}", "belongs to the period, which was cut off before it")
        last = None
        for seq in sorted(self.entries):
            entry = self.entries[seq]
            at = millis(entry["time"])
            expect(last is None or at >= last or entry["type"] == "clock.jumped", f"entry {seq}", "its time is before that of an earlier entry")
            last = at

    def pruned_to(self, seq):
        """Whether the log says that the entries before a position were pruned."""
        return any(entry["type"] == "log.pruned" and entry["body"]["before"] == seq for entry in self.entries.values())

    def statement(self, entry, act):
        """Compares every word of a statement; returns what ssh-keygen is to judge."""
        seq, body, place = entry["seq"], entry["body"], f"decisions/{entry['seq']}.json"
        data = read(place)
        expect(base64.b64decode(act["statement_base64"], validate=True) == data, place, "is not the statement in the entry")
        expect(act["sshsig"].encode() == read(place + ".sig"), place + ".sig", "is not the signature in the entry")
        stated = strict_json(data)
        said, subject = stated["predicate"], stated["subject"][0]
        kind = re.fullmatch(r"urn:x-countersign:([a-z-]+):v1", stated["predicateType"]).group(1)
        glass = entry["type"] == "breakglass.used" and kind.startswith("break")
        expect(kind == ACTS.get(entry["type"]) or glass, place, f"is a statement of another kind, `{kind}`")
        expect(said["reviewer"] == act["member"]["name"], place, "is in another person's name")
        expect(said["reason"] == act["reason"], place, "gives another reason")
        if kind == "rules":
            self.rules_word(entry, act, said, subject, place)
        else:
            expect(subject["name"] == f"request/{entry['request']}", place, "is about another request")
        received = self.requests.get(entry["request"], [None])[0]
        if received and expect(received["type"] == "request.received", place, "nothing was received before it"):
            what, side = received["body"], received["body"]["side"]
            expect("sha256:" + subject["digest"]["sha256"] == what["digest"], place, "names another document")
            own = (act["member"]["uid"] == side["uid"] or act["member"]["uid"] in side["launchers"]
                   or act["member"]["name"] == side["owner"])
            if glass:
                expect(not own, place, "is by the requester's side")
                expect("sha256:" + said["display"]["sha256"] == what["display"] and said["display"]["complete"] is True,
                       place, "names another rendering, or one that was not complete")
            if kind == "decision":
                expect("sha256:" + said["display"]["sha256"] == what["display"] if "display" in said else False,
                       place, "names another rendering")
                expect(said["decision"] == body["verdict"], place, "decides otherwise than the entry")
                expect(said["requester"]["uid"] == side["uid"], place, "names another requester")
                expect(said["self_attested"] == body["self_attested"], place, "says otherwise whether it is self-attested")
                expect(body["verdict"] == "deny" or own == body["self_attested"], place, "is by the requester's side, and does not say so, or the other way round")
                expect(body["verdict"] == "deny" or said["display"]["complete"] is True, place, "is about what was not shown completely")
                expect(body["digest"] == what["digest"] and body["display"] == what["display"], f"entry {seq}", "names another document or rendering than was received")
            expect(received["seq"] < said["log"]["size"] <= seq, place, "names a head that cannot have been seen")
        expect(said["log"]["origin"] == self.pack["origin"], place, "names the head of another log")
        self.heads.append((said["log"]["size"], bytes.fromhex(said["log"]["root"].removeprefix("sha256:")), place))
        if body.get("assurance") in ("touch", "pin"):
            wanted = 5 if body["assurance"] == "pin" else 1
            expect(presence(act["sshsig"]) & wanted == wanted, place + ".sig", "proves no " + body["assurance"])
        at = body.get("at") or min(entry["time"], said["expires_at"])
        early = millis(said["issued_at"]) <= millis(at) + 120_000
        expect(early and millis(at) <= millis(said["expires_at"]), place, "was not valid when it was handed in")
        return kind, act["member"], at

    def decisions(self):
        self.heads, waiting, names = [], [], set()
        for seq, entry in self.entries.items():
            act = act_of(entry)
            if act:
                names |= {f"{seq}.json", f"{seq}.json.sig"}
                try:
                    waiting.append((seq, entry, act, *self.statement(entry, act)))
                except PROBLEMS as error:
                    bad(f"decisions/{seq}.json", f"cannot be read: {error!r}")
        directory = os.path.join(root_directory, "decisions")
        found = set(os.listdir(directory)) if os.path.isdir(directory) else set()
        expect(found == names, "decisions", f"has other files: {sorted(found ^ names)[:3]}")

        def judge(one):
            seq, entry, act, kind, member, at = one
            may_be_older = entry["body"]["verdict"] == "deny" if kind == "decision" else kind != "rules"
            said = "no roster is in force"
            for back in range(2 if may_be_older else 1):
                roster = self.roster_before(seq, back)
                if roster is None:
                    break
                signers = f"allowed_signers/{roster}"
                known = {tuple(map(str, (m["name"], m["uid"], m["groups"], m["keys"])))
                         for m in roster_of(self.entries[roster])["members"]}
                if tuple(map(str, (member["name"], member["uid"], member["groups"], member["keys"]))) not in known:
                    said = f"{member['name']} is not in the roster as the entry says"
                elif act["key"] not in member["keys"]:
                    said = "the key is not one of the person's"
                else:
                    said = ssh_keygen(seq, signers, member["name"], f"countersign.{kind}.v1", at)
                if said is None:
                    return
                changed = millis(self.entries[roster]["time"])
                if millis(entry["time"]) - changed > 120_000:
                    break
            bad(f"decisions/{seq}.json.sig", f"entry {seq} of {member['name']}: {said}")

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(judge, waiting))
        # The heads that people signed must be heads of this very tree.
        tree, at = Tree(), 0
        for size, root, place in sorted(self.heads):
            if size > len(self.leaves):
                continue
            while at < size:
                tree.push(self.leaves[at])
                at += 1
            expect(tree.root() == root, place, f"names a head of {size} entries that this log never had")
        return len(waiting)

    def lives(self):
        """What becomes of each request, and whether it was allowed to."""
        lives = {}
        for name, entries in self.requests.items():
            try:
                lives[name] = Life(self, name, entries)
            except PROBLEMS as error:
                bad(f"request {name}", f"its entries cannot be followed: {error!r}")
        return lives


def fills(seats, people):
    """Tells whether distinct people fill all seats (augmenting paths)."""
    chairs = [seat["group"] for seat in seats for _ in range(seat["count"])]
    taken = {}

    def sit(chair, tried):
        for name, groups in people.items():
            if name in tried or not (chairs[chair] == "anyone" or chairs[chair] in groups):
                continue
            tried.add(name)
            if name not in taken or sit(taken[name], tried):
                taken[name] = chair
                return True
        return False

    return all(sit(chair, set()) for chair in range(len(chairs)))


OVER = ("refused", "denied", "expired", "withdrawn", "superseded", "invalidated", "revoked", "lapsed",
        "not-run", "succeeded", "failed", "killed", "settled")
MAY_HAVE_RUN = ("indeterminate", "succeeded", "failed", "killed", "settled")


class Life:
    """One request, from its entries."""

    def __init__(self, log, name, entries):
        self.log, self.place, first = log, f"request {name}", entries[0]
        expect(first["type"] == "request.received", self.place, "its first entry is missing")
        self.received, self.first = first["body"], first
        self.state, self.state_at = "received", first["time"]
        self.yes, self.no, self.via, self.decided_at = [], [], None, None
        self.glass = self.debt = self.redeemed_at = self.executor = self.outcome = self.exit = None
        self.members, self.until, self.permitted = {}, None, None
        self.told, self.ran, self.erased = [], None, False
        force = log.roster_before(first["seq"])
        expect(force is not None and roster_of(log.entries[force])["rules"] == self.received["rules"],
               f"entry {first['seq']}", "was received under other rules than were in force")
        for entry in entries[1:]:
            self.take(entry)

    def stands(self, state, entry):
        self.state, self.state_at = state, entry["time"]

    def take(self, entry):
        kind, body, place = entry["type"], entry["body"], f"entry {entry['seq']}"
        word = kind.partition(".")[2]
        ran, self.ran = self.ran, None
        if kind == "data.accessed":
            expect(ran == (entry["seq"] - 1, entry["time"]) and entry["actor"] == self.first["actor"],
                   place, "is not the requester's, right behind the entry that says the action ran")
            self.told.append(body)
            self.ran = (entry["seq"], entry["time"])
        elif kind == "document.erased":
            early = body.get("early")
            due = "retained_until" not in body and early["reason"].strip() if early else body["retained_until"] <= entry["time"]
            expect(entry["actor"]["kind"] == "daemon" and due, place,
                   "erases a document before its time and does not say why, or is not the daemon's")
            expect(self.state in OVER, place, f"erases the document of what is {self.state}")
            self.erased = True
        elif kind == "policy.evaluated":
            self.permitted = body["outcome"]
            if body["outcome"] == "hold":
                self.stands("pending", entry)
        elif kind == "decision.recorded":
            (self.yes if body["verdict"] == "approve" else self.no).append(body["member"]["name"])
            if body["verdict"] == "approve":
                self.members[body["member"]["name"]] = (set(body["member"]["groups"]), body["key"])
        elif kind == "request.approved":
            expect(self.state in ("received", "pending"), place, f"approves what is {self.state}")
            self.via, self.decided_at, self.until = body["via"], entry["time"], body["until"]["wall"]
            self.enough(entry, place)
            self.stands("approved", entry)
        elif kind in ("request.denied", "request.refused"):
            self.decided_at = entry["time"]
            self.stands(word, entry)
        elif kind == "request.redeemed":
            expect(self.state == "approved", place, f"uses what is {self.state}")
            expect(body["digest"] == self.received["digest"], place, "uses another document")
            expect(self.until is None or millis(entry["time"]) <= millis(self.until), place, "uses an approval that was over")
            self.redeemed_at, self.executor = entry["time"], body["executor"]
            self.stands("redeemed", entry)
        elif kind in ("request.expired", "request.withdrawn", "request.superseded",
                      "request.invalidated", "request.revoked", "request.lapsed"):
            expect(self.redeemed_at is None, place, "ends what was used already")
            self.stands(word, entry)
        elif kind == "breakglass.used":
            self.glass = body["member"]["name"]
            roster = roster_of(self.log.entries[self.log.roster_before(entry["seq"])])
            expect(self.glass in roster.get("break_glass", []), place, "is by somebody who may not break the glass")
        elif kind == "debt.closed":
            self.debt = body["member"]["name"]
            expect(self.debt != self.glass, place, "is by the person who broke the glass")
        elif kind.startswith("execution.") and word != "kill-requested":
            expect(self.redeemed_at is not None, place, "runs what was not used")
            if word in ("finished", "settled"):
                end = body if word == "finished" else body["report"] or {}
                self.outcome, self.exit = end.get("outcome") or body.get("outcome"), end.get("exit")
                word = self.outcome if word == "finished" else "settled"
            if word in MAY_HAVE_RUN and not self.told:
                self.ran = (entry["seq"], entry["time"])
            self.stands({"started": "running"}.get(word, word), entry)

    def tells_of(self, document):
        """Whether the entries about the run list the data of the document. What the catalogue
        said of it is in no document, and a name of the agent that is too long in no entry."""
        action = document["action"]
        agent = (action.get("claims") or {}).get("agent")
        if agent is not None and len(json.dumps(agent, ensure_ascii=False).encode()) > 8192:
            agent = None
        left = list(action.get("data") or [])
        without = lambda data: {key: value for key, value in data.items() if key != "classification"}
        for body in sorted(self.told, key=lambda body: body["basis"] != "stated"):
            for data in body["data"]:
                same = [at for at, other in enumerate(left) if other == data
                        or body["basis"] == "computed" and without(other) == without(data)]
                if not same:
                    return False
                del left[same[0]]
        return not left and all(body["agent"] == agent for body in self.told)

    def enough(self, entry, place):
        """Whether those who approved are enough, and may."""
        needed = self.received["requirement"]
        roster = roster_of(self.log.entries[self.log.roster_before(entry["seq"])])
        keys = {member["name"]: member["keys"] for member in roster["members"]}
        people = {name: groups for name, (groups, key) in self.members.items()
                  if name not in self.no and key in keys.get(name, [])}
        if self.via == "policy":
            expect(self.permitted == "permit", place, "is by policy, which did not permit it")
        elif self.via == "break-glass":
            expect(self.glass is not None, place, "is by break-glass, which nobody broke")
        else:
            expect(needed["reviews"] and not self.no, place, "is approved although nobody was asked, or somebody denied")
            for review in needed["reviews"]:
                expect(fills(review["seats"], people), place, f"is approved by too few of the right people ({review['policy']})")
            expect(self.via != "self-attested" or needed["self_attest"], place, "is self-attested where that was not allowed")

    def row(self, name, document):
        first, after = self.first, ""
        if self.decided_at:
            after = millis(self.decided_at) - millis(first["time"])
            after = f"{max(after, 0) // 1000}.{max(after, 0) % 1000:03d}"
        needed = self.received["requirement"]
        review = " + ".join(" and ".join(f"{seat['count']} of {seat['group']}" for seat in rule["seats"])
                            for rule in needed["reviews"])
        action = document["action"] if document else {}
        return {
            "request": name, "received_seq": first["seq"], "received_at": first["time"],
            "requester_uid": first["actor"]["uid"], "principal": cell(first["actor"]["id"]),
            "kind": cell(action.get("kind", "")), "target": cell(action.get("target", {}).get("name", "")),
            "agent": cell((action.get("claims") or {}).get("agent") or ""), "tier": needed["tier"],
            "review": cell(review), "digest": self.received["digest"], "rules": self.received["rules"],
            "state": self.state, "state_at": self.state_at, "via": self.via,
            "approved_by": "; ".join(map(cell, self.yes)), "denied_by": "; ".join(map(cell, self.no)),
            "self_attested": "true" if self.via == "self-attested" else "false",
            "decided_at": self.decided_at, "decided_after_s": after,
            "glass_broken_by": cell(self.glass or ""), "glass_reviewed_by": cell(self.debt or ""),
            "redeemed_at": self.redeemed_at, "executor": self.executor, "outcome": self.outcome,
            "exit": self.exit, "document": "kept" if document else "erased",
        }


# Tables.


def cell(text):
    """Printable ASCII stands for itself; the rest, and the backslash, is \\uXXXX."""
    return "".join(c if " " <= c <= "~" and c != "\\" else "".join(
        f"\\u{int.from_bytes(unit, 'big'):04x}" for unit in units(c)) for c in text)


def units(c):
    data = c.encode("utf-16-be", "surrogatepass")
    return [data[at : at + 2] for at in range(0, len(data), 2)]


def table(name):
    """Reads a table; one apostrophe before a cell only keeps spreadsheets from running it."""
    with open(os.path.join(root_directory, name), encoding="utf-8", newline="") as file:
        rows = [[c[1:] if c.startswith("'") else c for c in row] for row in csv.reader(file)]
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def documents(log, lives):
    """Returns the documents by request; each has the digest that was received."""
    kept, erased = {}, set(log.pack["documents_erased"])
    for name, life in lives.items():
        path = f"documents/{name}.json"
        there = os.path.exists(os.path.join(root_directory, path))
        if not expect(there != (name in erased), path, "is neither here nor named as erased, or both"):
            continue
        # Where the entries go on to the end of the log, an erasure is among them.
        to_the_end = log.pack["scope"]["kind"] == "request" or log.end == len(log.leaves)
        if not there and to_the_end:
            expect(life.erased, path, "is named as erased, and no entry says so")
        if there:
            data = read(path)
            if expect("sha256:" + sha256(data) == life.received["digest"], path, "has not the digest that was received"):
                kept[name] = strict_json(data)
                expect(kept[name]["id"] == name, path, "is of another request")
                expect(life.state not in MAY_HAVE_RUN or life.tells_of(kept[name]), path,
                       "lists other data than the entries about its run")
    directory = os.path.join(root_directory, "documents")
    found = set(os.listdir(directory)) if os.path.isdir(directory) else set()
    expect(found <= {f"{name}.json" for name in lives}, "documents", "has files of other requests")
    return kept


def policies(log):
    """The files of rules have the digest of the rules, or one that stands in the file that has."""
    for rules in {roster_of(log.entries[seq])["rules"] for seq in log.rosters}:
        directory = os.path.join(root_directory, "policies", rules.removeprefix("sha256:"))
        if not os.path.isdir(directory):
            expect(rules in log.pack["rules_missing"], rules, "its files are neither here nor named as missing")
            continue
        files = {}
        for base, _, names in os.walk(directory):
            for name in names:
                with open(os.path.join(base, name), "rb") as file:
                    files[os.path.relpath(os.path.join(base, name), directory)] = file.read()
        whole = [data for data in files.values() if "sha256:" + sha256(data) == rules]
        if not expect(whole, f"policies/{rules}", "no file has the digest of the rules"):
            continue
        for name, data in files.items():
            expect(data is whole[0] or sha256(data).encode() in whole[0], f"policies/{rules}/{name}", "is not named by the rules")


def tables(log, lives, kept, statements):
    found = {row["request"]: row for row in table("population.csv")}
    expect(len(found) == len(table("population.csv")), "population.csv", "has a request twice")
    for name in found.keys() ^ lives.keys():
        bad("population.csv", f"{name} is missing" if name in lives else f"{name} is not in the log")
    for name in found.keys() & lives.keys():
        row = {key: "" if value is None else str(value) for key, value in lives[name].row(name, kept.get(name)).items()}
        wrong = [key for key in row if found[name].get(key) != row[key]]
        expect(not wrong and found[name].keys() == row.keys(), "population.csv", f"{name} is told otherwise than by the entries: {', '.join(wrong)}")
    rows, before = [], {}
    for seq in log.rosters:
        entry, roster = log.entries[seq], roster_of(log.entries[seq])
        people = {m["name"]: (str(m["uid"]), "; ".join(map(cell, m["groups"])), "; ".join(map(cell, m["keys"]))) for m in roster["members"]}
        for name in sorted(people.keys() | before.keys()):
            change = ("added" if name not in before else "removed" if name not in people
                      else "kept" if people[name] == before[name] else "changed")
            rows.append([str(seq), entry["time"], entry["type"], roster["rules"], roster["previous"],
                         cell(name), *people.get(name, before.get(name)), change])
        before = people
    expect([list(row.values()) for row in table("roster.csv")] == rows, "roster.csv", "is not what the entries say")
    for row in table("controls.csv"):
        types = row["entry_types"].split(" ")
        positions = [seq for seq, entry in log.entries.items() if entry["type"] in types]
        expected = [str(len(positions)), *(map(str, (min(positions), max(positions))) if positions else ("", ""))]
        expect([row["entries"], row["first_seq"], row["last_seq"]] == expected, "controls.csv", f"{row['framework']} {row['control']} counts otherwise")
    pack = log.pack
    expect((pack["entries"], pack["requests"], pack["statements"]) == (len(log.entries), len(lives), statements), "pack.json", "counts otherwise")


def files():
    named = set()
    for line in read("manifest.sha256").decode().splitlines():
        named.add(line[66:])
    for base, _, names in os.walk(root_directory):
        for name in names:
            path = os.path.relpath(os.path.join(base, name), root_directory)
            expect(path in named or path == "manifest.sha256", path, "is not in manifest.sha256")


class Unusable(Exception):
    """What was given to compare with is not that."""


def head(pack, keys):
    """Checks the head and the tree, and returns the leaves."""
    origin, (size, root) = keys.origin, keys.open(read("checkpoint").decode())
    expect((origin, size, root.hex()) == (pack["origin"], pack["head"]["size"], pack["head"]["root"]), "pack.json", "names another head")
    leaves, level = tiles(0, size), 0
    tree, kept = Tree(), []
    for path in options.head:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise Unusable(f"{path}: {error}") from None
        believed = vkey.partition("+")[0] + "\n"  # whatever the pack calls itself
        if not text.startswith(believed):  # a kept head has some lines before it
            text = text.partition("\n\n")[2]
        if not text.startswith(believed):  # a wrong file says nothing about this log
            raise Unusable(f"{path} is not a head of {believed.strip()}")
        try:
            kept.append((*keys.open(text, each=False), path))
        except ValueError as error:
            bad(path, str(error))
    for hash_ in leaves:
        for at, expected, place in keys.handovers:
            expect(at != tree.size or tree.root() == expected, place, f"holds a head of {at} entries that this log never had")
        for at, expected, path in kept:
            expect(at != tree.size or tree.root() == expected, path, f"a head of {at} entries was kept, and this log never had it")
        tree.push(hash_)
    expect(tree.root() == root, "tile/0", "the hashes have not the root of the signed head")
    for at, expected, path in kept:
        if at > size:
            say(f"note: {path} is of {at} entries, later than this pack, and was not compared")
        expect(at != size or expected == root, path, "is of as many entries, with another root")
    below = leaves
    while len(below) >= 256:
        above, level = [], level + 1
        for first in range(0, len(below) - 255, 256):
            part = Tree()
            for hash_ in below[first : first + 256]:
                part.push(hash_)
            above.append(part.root())
        expect(tiles(level, len(above)) == above, f"tile/{level}", "is not the hash of what is below it")
        below = above
    return leaves


PROBLEMS = (KeyError, IndexError, ValueError, TypeError, AttributeError, OSError, RecursionError, binascii.Error)


def main():
    pack = strict_json(read("pack.json"))
    files()
    for name in "from", "until":
        given = getattr(options, name)
        if given and len(given) == 10:  # a day is its first moment
            given += "T00:00:00.000Z"
        expect(given is None or pack["scope"].get(name) == given, "pack.json", f"the period has another `{name}`: {pack['scope'].get(name)}")
    log = Log(pack, head(pack, told_keys(pack)))
    log.load()
    log.people()
    log.rightful()
    log.complete()
    statements = log.decisions()
    lives = log.lives()
    kept = documents(log, lives)
    policies(log)
    tables(log, lives, kept, statements)
    return log, lives, statements


arguments = argparse.ArgumentParser(prog="verify.sh", description="Checks this evidence pack.")
arguments.add_argument("directory", help=argparse.SUPPRESS)
arguments.add_argument("--vkey", help="a file with the log's key as you had it before")
arguments.add_argument("--head", action="append", default=[], help="a head of the log that was kept elsewhere")
arguments.add_argument("--from", help="the beginning of the period that you asked for")
arguments.add_argument("--to", dest="until", help="the end of the period that you asked for")
options = arguments.parse_args()
root_directory = options.directory
try:
    if options.vkey:
        with open(options.vkey, encoding="utf-8") as file:
            vkey = file.read().strip()
    else:
        # The first key leads to the others.
        named = [line[4:] for line in read("trust-policy").decode().splitlines() if line.startswith("log ")]
        vkey = named[0] if named else ""
        say(f"note: the log's key is believed as this pack has it: {vkey}")
except OSError as error:
    say(f"cannot check: {error}", sys.stderr)
    sys.exit(1)
try:
    log, lives, statements = main()
except Unusable as error:
    say(f"cannot check: {error}", sys.stderr)
    if not problems:
        sys.exit(1)
except PROBLEMS as error:
    bad("pack", f"cannot be followed: {error!r}")
for problem in problems[:50]:
    say(f"NOT GOOD: {problem}", sys.stderr)
if problems:
    say(f"{len(problems)} found" + (", 50 of them shown" if len(problems) > 50 else ""), sys.stderr)
    sys.exit(9)
scope = log.pack["scope"]
if scope["kind"] == "period":
    say(f"complete: entries {log.begin} up to and without {log.end}, of {scope['from'] or 'the beginning'} to {scope['until'] or 'the end'}")
    if log.end == len(log.leaves) and log.entries:
        say(f"note: nothing comes after these; the newest entry is of {log.entries[max(log.entries)]['time']}, and `--head` shows whether there is a longer log")
else:
    say(f"about {scope['request']}; that nothing about it is missing is not shown")
say(f"good: {len(log.entries)} entries of a log of {len(log.leaves)}, {len(lives)} requests, {statements} signed statements")
