"""What the content of a file is, and whether loading it can run code. Nothing is ever loaded.

Content decides, not the name: a pickle called `model.safetensors` is a pickle. A finding is evidence
for policies, not a virus scanner: it says what a loader would take the file for.
"""

from collections.abc import Callable, Iterable

from registry_grpc.domain.metadata import Format
from registry_grpc.domain.sniffing import archives, graphs, pickles, programs, tensors
from registry_grpc.domain.sniffing.window import Window

UNKNOWN = "unknown"
EXECUTABLE: dict[str, bool] = {
    "arrow": False,
    "bzip2": False,
    "catboost": False,
    "compressed-pickle": True,
    "elf": True,
    "empty": False,
    "gguf": False,
    "gguf-invalid": False,
    "gzip": False,
    "hdf5": False,
    "java-class": True,
    "joblib": True,
    "json": False,
    "keras": True,  # Lambda layers carry Python bytecode
    "keras-hdf5": True,  # the same
    "lightgbm": False,
    "lz4": False,
    "lzma": False,
    "mach-o": True,
    "npy": False,
    "npy-object": True,  # elements are pickled
    "npz": False,
    "npz-object": True,
    "npz-unchecked": True,  # not shown to be free of pickled elements
    "onnx": False,
    "parquet": False,
    "pe": True,
    "pickle": True,
    "pmml": False,
    "python": True,
    "python-bytecode": True,
    "pytorch": True,
    "pytorch-legacy": True,
    "safetensors": False,
    "safetensors-invalid": False,
    "safetensors-unchecked": False,
    "shell": True,
    "tar": False,
    "tar-with-code": True,
    "tensorflow": True,  # a graph may read and write files and call Python
    "text": False,
    "tflite": False,
    "torchscript": True,
    UNKNOWN: False,
    "wasm": True,
    "xgboost": False,
    "xz": False,
    "yaml": False,
    "zip": False,
    "zip-with-code": True,
    "zstd": False,
}
"""Every format there is a name for, and whether loading such a file can run code from it."""

# Order matters. What a loader executes comes before what merely holds data, so that a file that is
# two things at once counts as the more dangerous one.
_READERS: tuple[Callable[[Window], str | None], ...] = (
    pickles.sniff,
    programs.sniff_binary,
    archives.sniff_tar,
    pickles.sniff_compressed,
    archives.sniff_zip,
    graphs.sniff,
    tensors.sniff,
    programs.sniff_text,
)


def sniff(path: str, size_bytes: int, read: Callable[[int, int], bytes]) -> str:
    """The name of the format of a file, a key of `EXECUTABLE`.

    `read(offset, length)` gives bytes of the file, fewer at its end; it is called for 64 KiB of the
    beginning and, for some formats, at most 39 times more for at most 1 MiB each. Errors it raises
    pass through; the content itself makes nothing raise.
    """
    if size_bytes <= 0:
        return "empty"
    window = Window(path, size_bytes, read)
    if not window.head:
        return UNKNOWN
    return next((name for reader in _READERS if (name := reader(window))), UNKNOWN)


def summarise(pairs: Iterable[tuple[str, str]]) -> tuple[Format, ...]:
    """One `Format` for each format among (path, format name) pairs, sorted by name.

    The example is the first path in order. A name that is not in the table counts as executable.
    """
    paths: dict[str, list[str]] = {}
    for path, name in pairs:
        paths.setdefault(name, []).append(path)
    return tuple(
        Format(name, EXECUTABLE.get(name, True), min(found), len(found)) for name, found in sorted(paths.items())
    )
