"""The promises, each in the parts that must be proven. `docs/promises.md` is made from this and from the tests.

A test says what it proves: `@pytest.mark.promise("P03", "cancelled")`. A promise is proven when every part has a test.
Source: `../shared/research/reliability-security.md` §2 with `../shared/design/promises.md`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """What is promised, and part → what a proof of it does."""

    text: str
    parts: dict[str, str]


PROMISES = {
    "P01": Promise(
        "An acknowledged write survives SIGKILL of any replica and of the database.",
        {
            "failpoints": "SIGKILL at every failpoint of the write transaction, on both engines",
            "database killed": "PostgreSQL is killed while clients write",
            "settings": "SQLite syncs every commit: the pragma, and the fsyncs counted",
        },
    ),
    "P02": Promise(
        "A version is READY only when all its bytes are stored and hash to its digests.",
        {
            "steps": "SIGKILL before and after each upload step, then every READY byte is hashed again",
            "two finalizers": "finalize from two replicas at once",
        },
    ),
    "P03": Promise(
        "A failed, cancelled or cut upload never becomes a file; the end of a stream alone completes nothing.",
        {
            "cancel": "the client cancels",
            "deadline": "the deadline passes",
            "kill": "the client is killed",
            "close": "the stream ends without finish_write",
            "short": "fewer bytes than declared",
            "long": "more bytes than declared",
            "oversize chunk": "a chunk over the limit",
            "superseded": "an older writer goes on",
        },
    ),
    "P04": Promise(
        "Retrying a mutation with its request_id applies it once and gives the first answer; another body is refused.",
        {
            "dropped replies": "the reply of every mutation is dropped, then the call repeated",
            "unknown commit": "the connection to PostgreSQL dies during COMMIT",
            "other body": "the id with another body",
        },
    ),
    "P05": Promise(
        "Writes are strictly serializable in revision order; Resolve reads the caller's own writes with min_revision, "
        "otherwise at most max_staleness old.",
        {
            "history": "histories of concurrent clients under faults, checked against the event log",
            "replicas": "min_revision across replicas",
            "as of": "as_of right after rollbacks",
            "stale": "the database gone or frozen: the last answer known, and marked",
            "stalled feed": "the feed of one replica stands still: Resolve asks the database",
            "lost commits": "the database comes back without the last commits: whoever read them starts anew",
        },
    ),
    "P06": Promise(
        "Watch is ordered, unique, complete, atomic per transaction, resumable; a gap is announced, never silent.",
        {
            "replicas": "kills, stops and cuts of three replicas; what watches told is held against the event table",
            "log": "a watch that is far behind reads the log and loses nothing",
            "gap": "a compacted, foreign or rewound place is refused by name",
        },
    ),
    "P07": Promise(
        "A stage or alias has one holder at a time; a stale etag never wins.",
        {
            "racing movers": "32 movers, one success per etag",
            "reader": "a reader never sees none or two",
        },
    ),
    "P08": Promise(
        "Nothing referenced is ever deleted by the collector.",
        {
            "machine": "a state machine of upload, dedupe, delete, restore, collect and clock jumps",
            "kills": "SIGKILL between the steps of the collector, on real stores",
            "races": "two collectors beside uploads and attachments of the same bytes",
            "copies": "an object that another project names",
            "mark": "another database, or a rewound one, at the same store",
        },
    ),
    "P09": Promise(
        "Nothing unreferenced lives longer than the grace and two sweeps.",
        {
            "audit": "objects are counted after chaos",
            "orphans": "objects that no row knows",
        },
    ),
    "P10": Promise(
        "No RPC without a permission; no request acts outside its project.",
        {
            "matrix": "every role by every RPC, own and foreign project",
            "foreign": "a foreign project answers as an absent one, word for word",
            "denied": "each refused change leaves an audit entry, and no more of them than are worth it",
            "uploads": "the upload of somebody else does not exist",
            "dedupe": "no project learns, or gets, what another one holds",
            "conditions": "a stage or a tag that a binding excludes cannot be changed by any verb",
        },
    ),
    "P11": Promise(
        "The author cannot approve his own request; an approval binds to digest and policy revision.",
        {
            "machine": "a state machine over requests, decisions, policies, rights, moves and yanks, against a model",
            "races": "a policy tightened, a role revoked, a request rejected elsewhere while promotions run",
            "hostile": "one's own request, twice, after a change, with a revoked role, over the wire",
        },
    ),
    "P12": Promise(
        "The audit trail cannot be changed, cut or reordered unnoticed by an offline check.",
        {
            "tampering": "each column changed, the tail dropped, rows swapped, a history rewritten and chained again",
            "changes": "of every mutation of the contract what was before is told, and fits what was told last",
            "checkpoints": "when they are signed, where they are kept, two checkpointers and SIGKILL of one",
            "independent verifier": "Go's sumdb note and tlog accept our checkpoints and proofs, and no forged ones",
            "rights": "the server works under a database role that cannot change or delete an entry",
        },
    ),
    "P13": Promise(
        "No secret or DSN is in any status, log line, metric or audit entry, and no path or stack trace in a status.",
        {
            "canaries": "canary strings in every secret; every output of a run with faults is scanned",
            "every server": "log, tables and refusals of every server of every test are searched for its secrets",
            "log lines": "texts of callers forge no line of a log and are no labels of metrics",
        },
    ),
    "P14": Promise(
        "Every hostile input gets its status, costs little, and the server keeps serving.",
        {
            "messages": "the inputs of the message layer",
            "frames": "the inputs of the transport, from raw HTTP/2 frames",
            "uploads": "the inputs of the upload stream",
            "polite client": "a polite client is served meanwhile",
            "credentials": "the inputs of headers, tokens, JWTs and client certificates, with a real OpenID provider",
            "rejections": "a refused call costs at most 100 µs of CPU above an echo",
            "connections": "connections beyond the limit are refused, those within it are served",
            "held versions": "what a stage or an alias points to is not deleted, and the holders are named",
            "quota race": "32 racing uploads never take a byte more than a quota; the usage survives SIGKILL",
            "purge race": "a purge beside uploads, attachments and copies takes no bytes that a file lies in",
            "webhook addresses": "URLs and names that lead inside are refused when they are set and when they are used",
            "hostile files": "files that lie about what they are are kept, and named for what they are",
            "signature bundles": "bundles that are broken, ambiguous or sign anything but the version never count",
            "condemned bytes": "bytes that wait for collection come back or are not present, never in between",
            "greedy client": "a client over its rate costs little, and a polite one beside it is served",
            "many watches": "ten thousand watches of one caller end at his limit; those within it live",
        },
    ),
    "P15": Promise(
        "Memory is bounded under slow and half-sent streams.",
        {
            "slow uploads": "200 slow uploads",
            "half-sent": "10,000 half-sent streams",
        },
    ),
    "P16": Promise(
        "SIGTERM loses no acknowledged work and shows no error to clients with default retries.",
        {
            "rolling restart": "three replicas restarted in turn under load",
            "uploads": "an upload that cannot end in time is told where to go on",
        },
    ),
    "P17": Promise(
        "Versions N and N+1 serve together; a failed migration leaves the old one serving.",
        {"both": "N's tests against N+1's schema", "killed": "the migration killed at each step"},
    ),
    "P18": Promise(
        "A backup taken live restores to a consistent state.",
        {"restore": "backup under load, restore elsewhere, deep check"},
    ),
    "P19": Promise(
        "Tokens, keys and certificates rotate without restart; a revoked token stops within 30 s.",
        {
            "issuer keys": "a real OpenID provider rotates its keys under load",
            "issuer away": "the provider goes away: keys that are known are kept, tokens of the registry work",
            "certificates": "certificate and authorities are rotated on disk under load",
            "revoked": "a revoked token, a removed binding and a disabled account end open streams on two replicas",
            "stalled feed": "the feed of a replica stands still: it learns of the change all the same",
        },
    ),
    "P20": Promise(
        "Bit rot is found: a flipped byte is DATA_LOSS on read and reported by the scrubber, never served as good.",
        {
            "local": "a byte flipped in the directory",
            "s3": "a byte flipped in MinIO",
            "scrubber": "the scrubber reports it",
        },
    ),
}
