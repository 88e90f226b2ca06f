"""postconf -e -X -# -M -F -P: what it says, and what the files are afterwards. edit_cases.json was observed on 3.7.11 with the same files
(/tmp/pc stands for the configuration directory)."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.environ["PROGRAM"]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "edit_cases.json"), encoding="utf-8") as file:
    OBSERVED = json.load(file)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read().replace(self.directory, "/tmp/pc")

    def run_postconf(self, *arguments):
        done = subprocess.run([PROGRAM, "-c", self.directory, *arguments], capture_output=True, text=True, check=False)
        return (done.returncode, done.stdout.replace(self.directory, "/tmp/pc"), done.stderr.replace(self.directory, "/tmp/pc"))

    def test_as_observed(self):
        for case in OBSERVED["cases"]:
            with self.subTest(case["commands"]):
                self.write("main.cf", OBSERVED["main.cf"])
                self.write("master.cf", OBSERVED["master.cf"])
                for command, result in zip(case["commands"], case["results"]):
                    self.assertEqual(self.run_postconf(*command),
                                     (result.get("status", 0), result.get("out", ""), result.get("err", "")))
                for name in "main.cf", "master.cf":
                    self.assertEqual(self.read(name), case.get(name, OBSERVED[name]))
                self.assertEqual(sorted(os.listdir(self.directory)), ["main.cf", "master.cf"])

    def test_owner_mode_and_links_are_kept(self):
        self.write("real.cf", "a = b\n")
        self.write("master.cf", "")
        os.symlink("real.cf", self.path("main.cf"))
        os.chmod(self.path("real.cf"), 0o640)
        if os.geteuid() == 0:
            os.chown(self.path("real.cf"), 12345, 23456)
        before = os.stat(self.path("real.cf"))
        self.assertEqual(self.run_postconf("-e", "a=c"), (0, "", ""))
        after = os.stat(self.path("real.cf"))
        self.assertEqual(self.read("real.cf"), "a = c\n")
        self.assertTrue(os.path.islink(self.path("main.cf")))
        self.assertEqual((before.st_mode, before.st_uid, before.st_gid), (after.st_mode, after.st_uid, after.st_gid))
        self.assertNotEqual(before.st_ino, after.st_ino)

    def test_edits_at_once_all_count(self):
        self.write("main.cf", "")
        self.write("master.cf", "")
        children = [subprocess.Popen([PROGRAM, "-c", self.directory, "-e", f"x{n}={n}"]) for n in range(20)]
        self.assertEqual([child.wait() for child in children], [0] * 20)
        self.assertEqual(sorted(self.read("main.cf").splitlines()), sorted(f"x{n} = {n}" for n in range(20)))

    def test_an_edit_that_cannot_be_written_changes_nothing(self):
        self.write("main.cf", "a = b\n")
        self.write("master.cf", "")
        os.mkdir(self.path("main.cf.tmp"))
        status, _, errors = self.run_postconf("-e", "a=c")
        self.assertEqual(status, 1)
        self.assertIn("main.cf.tmp", errors)
        self.assertEqual(self.read("main.cf"), "a = b\n")

    def test_an_empty_command_is_refused(self):
        self.write("main.cf", "")
        self.write("master.cf", OBSERVED["master.cf"])
        self.assertEqual(self.run_postconf("-F", "smtp/inet/command=")[0], 1)
        self.assertEqual(self.read("master.cf"), OBSERVED["master.cf"])

    def test_braces_stay_where_they_are_needed(self):
        self.write("main.cf", "")
        self.write("master.cf", "x unix - - n - - pipe -o a=b {c d} e\n")
        self.run_postconf("-P", "x/unix/a=z")
        self.assertEqual(self.run_postconf("-M")[1], "x          unix  -       -       n       -       -       pipe -o a=z {c d} e\n")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
