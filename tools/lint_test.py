"""What lint.py makes of a clang-tidy that ends in each of its ways. A stand-in for clang-tidy plays them."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint  # noqa: E402


class Tidy(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        path = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = f"{self.directory}:{path}"

    def of(self, script):
        program = os.path.join(self.directory, "clang-tidy-14")
        with open(program, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(program, 0o755)
        return lint.tidy("src/base/buf.c")

    def test_a_clean_file_has_no_problems(self):
        self.assertEqual(self.of("exit 0\n"), [])

    def test_each_finding_is_a_problem(self):
        found = self.of(f"echo '{lint.ROOT}/src/base/buf.c:3:4: error: bad [x]'; echo '  a line of it'; exit 1\n")
        self.assertEqual(found, ["src/base/buf.c:3:4: error: bad [x]"])

    def test_a_crash_is_a_problem(self):
        found = self.of("echo 'PLEASE submit a bug report' >&2; kill -SEGV $$\n")
        self.assertEqual(found, ["src/base/buf.c: clang-tidy came to no end (status -11): PLEASE submit a bug report"])

    def test_a_crash_after_a_finding_is_one_more_problem(self):
        found = self.of("echo 'x.h:1:1: warning: w [x]'; kill -ABRT $$\n")
        self.assertEqual(found, ["x.h:1:1: warning: w [x]", "src/base/buf.c: clang-tidy came to no end (status -6): "])

    def test_an_end_without_a_word_is_a_problem(self):
        self.assertEqual(len(self.of("exit 139\n")), 1)


if __name__ == "__main__":
    unittest.main()
