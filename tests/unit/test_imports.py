"""The package files a script depends on are found by reading it."""

from cfmf.imports import imported_files


def test_finds_what_is_imported_through_others():
    found = imported_files("scripts/build_matrices.py")
    assert {"cfmf/data/matrices.py", "cfmf/data/splits.py", "cfmf/files.py"} <= set(found)
    assert not [path for path in found if "factorization" in path]


def test_starts_from_a_module_too():
    assert "cfmf/files.py" in imported_files("cfmf.tables")


def test_a_module_of_ones_own_is_found_with_what_it_imports(tmp_path, monkeypatch):
    own = tmp_path / "own_method.py"
    own.write_text("from cfmf.observed import checked\nraise SystemExit\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert imported_files("own_method") == [str(own), "cfmf/observed.py"]


def test_an_import_is_found_wherever_a_statement_may_be(tmp_path):
    path = tmp_path / "everywhere.py"
    lines = ["if True:", "    pass", "elif 1:", "    import cfmf.files", "else:", "    pass"]
    lines += ["try:", "    from cfmf import tables", "except ValueError:", "    import cfmf.side"]
    lines += ["else:", "    import cfmf.tasks", "finally:", "    import cfmf.threads"]
    lines += ["for x in ():", "    pass", "else:", "    import cfmf.deadline"]
    lines += ["with open(x) as y:", "    import cfmf.devices"]
    lines += ["match x:", "    case 1:", "        import cfmf.progress"]
    lines += ["class A:", "    async def f(self):", "        import cfmf.terminal"]
    path.write_text("\n".join(lines), "utf-8")
    names = "files tables side tasks threads deadline devices progress terminal".split()
    assert {f"cfmf/{name}.py" for name in names} <= set(imported_files(str(path)))
