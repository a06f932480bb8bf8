"""Requirement files, read into dependencies."""

import re

import pytest

from registry_grpc.client import InvalidArgument
from registry_grpc.client.requirements import MAX_BYTES, capture, frozen


def read(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    captured = capture(tmp_path / name)
    assert captured.content == (tmp_path / name).read_bytes()
    assert captured.path == f"requirements/{name}"
    return [(each.ecosystem, each.name, each.version, each.marker) for each in captured.dependencies]


def pypi(name, version="", marker=""):
    return ("pypi", name, version, marker)


def test_requirements_and_what_pip_freeze_writes(tmp_path):
    text = """# made by somebody
--index-url https://example.org/simple
-r base.txt
NumPy==2.1.0 \\
    --hash=sha256:00 \\
    --hash=sha256:11
Scikit_Learn >= 1.5, < 2  # the newest
torch
uvloop==0.21 ; sys_platform != 'win32'
psycopg[binary]==3.2
mine @ file:///tmp/mine-1.0-py3-none-any.whl
-e git+https://example.org/r.git@4f2c#egg=My_Project
./local
torch
"""
    assert read(tmp_path, "requirements.txt", text) == [
        pypi("numpy", "2.1.0"),
        pypi("scikit-learn", "<2,>=1.5"),
        pypi("torch"),
        pypi("uvloop", "0.21", 'sys_platform != "win32"'),
        pypi("psycopg", "3.2"),
        pypi("mine", "@ file:///tmp/mine-1.0-py3-none-any.whl"),
        pypi("my-project", "@ git+https://example.org/r.git@4f2c#egg=My_Project"),
    ]


def test_a_conda_environment_with_its_pip_section(tmp_path):
    text = """name: x
channels: [conda-forge]
dependencies:
  - python=3.11
  - numpy=1.26.4=py311h64a7726_0
  - conda-forge::SciPy==1.11
  - mkl>=2023,<2024
  - blas=*=openblas
  - pip
  - pip:
    - torch==2.5.1
    - Some_Thing
"""
    assert read(tmp_path, "environment.yml", text) == [
        ("conda", "python", "3.11.*", ""),
        ("conda", "numpy", "1.26.4", ""),
        ("conda", "scipy", "1.11", ""),
        ("conda", "mkl", ">=2023,<2024", ""),
        ("conda", "blas", "*", ""),
        ("conda", "pip", "", ""),
        pypi("torch", "2.5.1"),
        pypi("some-thing"),
    ]


def test_locks_without_the_project_itself(tmp_path):
    text = """version = 1
[[package]]
name = "numpy"
version = "2.1.0"
source = { registry = "https://example.org/simple" }
resolution-markers = ["python_full_version >= '3.12'"]
[[package]]
name = "my-project"
version = "0.1"
source = { virtual = "." }
[[package]]
name = "other"
source = { editable = "../other" }
"""
    assert read(tmp_path, "uv.lock", text) == [pypi("numpy", "2.1.0", "python_full_version >= '3.12'")]
    pylock = """lock-version = "1.0"
[[packages]]
name = "Attrs"
version = "25.1.0"
marker = "python_version >= '3.8'"
[[packages]]
name = "here"
directory = { path = "." }
"""
    assert read(tmp_path, "pylock.toml", pylock) == [pypi("attrs", "25.1.0", "python_version >= '3.8'")]


def test_what_is_installed_here():
    captured = capture("freeze")
    assert captured.path == "requirements/freeze.txt"
    assert captured.content.decode().splitlines() == frozen()
    names = {each.name for each in captured.dependencies}
    assert {"grpcio", "protobuf", "packaging"} <= names
    assert all(each.version and re.fullmatch(r"[a-z0-9-]+", each.name) for each in captured.dependencies)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("requirements.txt", "numpy==1\nnot a requirement !", "requirements.txt, line 2: .*no requirement"),
        ("requirements.txt", "--index-url https://me:secret@example.org/simple", "has a password in a URL"),
        ("requirements.txt", "x @ git+https://:token@example.org/x", "has a password in a URL"),
        ("requirements.txt", "".join(f"p{at}\n" for at in range(5001)), "names 5001 packages; the limit is 5000"),
        ("requirements.txt", "#" * (MAX_BYTES + 1), "is larger than"),
        ("environment.yml", "channels: [x]", "no list of dependencies"),
        ("environment.yml", "a: [", "is no YAML"),
        ("environment.yml", "a: &a [x]\ndependencies: *a", r"YAML alias \*a"),
        ("environment.yml", "dependencies: [{pip: [=]}]", "pip, line 1"),
        ("environment.yml", f"dependencies: ['{'x' * 100_000} \\n']", "is no package"),
        ("uv.lock", "a = ", "is no TOML"),
        ("uv.lock", "package = 3", "is no lock"),
        ("uv.lock", "a = " + "[" * 5000, "is no TOML"),
    ],
)
def test_what_cannot_be_read_says_where(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidArgument, match=complaint):
        capture(tmp_path / name)


def test_variables_in_place_of_passwords_are_fine(tmp_path):
    text = "--index-url https://me:${TOKEN}@example.org/simple\nnumpy\n"
    assert read(tmp_path, "requirements.txt", text) == [pypi("numpy")]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidArgument, match=r"nowhere\.txt cannot be read"):
        capture(tmp_path / "nowhere.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        capture(tmp_path / "binary.txt")


def test_a_push_keeps_the_file_and_names_the_packages(registry, tree, tmp_path):
    (tmp_path / "requirements.txt").write_text("NumPy==1.26.4\ntorch\n")
    given = {"requirements": tmp_path / "requirements.txt", "dependencies": ["torch", "scipy==1.11"]}
    made = registry.push("needy", tree, **given)
    assert [(each.name, each.version) for each in made.dependencies] == [
        ("torch", ""),
        ("scipy", "1.11"),
        ("numpy", "1.26.4"),
    ]
    assert "requirements/requirements.txt" in {file.path for file in registry.list_artifacts(made.name)}
    assert registry.push("needy", tree, **given).name == made.name
    pulled = registry.pull("needy", tmp_path / "out")
    assert (pulled / "requirements" / "requirements.txt").read_text() == "NumPy==1.26.4\ntorch\n"
    found = registry.search(filter='dependencies.numpy = "1.*" AND model = needy')
    assert [match.version.name for match in found] == [made.name]
    (tmp_path / "requirements.txt").write_text("NumPy==2.0\n")
    assert registry.push("needy", tree, **given).number == made.number + 1


def test_two_files_at_one_path_are_refused(registry, tree, tmp_path):
    (tree / "requirements").mkdir()
    for place in (tree / "requirements", tmp_path):
        (place / "requirements.txt").write_text("numpy\n")
    with pytest.raises(InvalidArgument, match=r"two files would be 'requirements/requirements\.txt'"):
        registry.push("twice", tree, requirements=tmp_path / "requirements.txt")
