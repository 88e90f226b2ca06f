"""postmap and postalias as commands. The expected texts are those of 3.7 and 3.10, but for
the name of the index file and the order of a dump."""

import os
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = {"postmap": os.environ["PROGRAM"], "postalias": os.environ["PROGRAM_POSTALIAS"]}
MAP_USAGE = ("postmap: fatal: usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] "
             "[-q key] [map_type:]file...\n")
ALIAS_USAGE = ("postalias: fatal: usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] "
               "[-q key] [map_type:]file...\n")


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        self.write("main.cf", "")

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
            file.write(text)

    def expect(self, command, output="", errors="", status=0, text=""):
        program, *arguments = command
        result = subprocess.run(
            [PROGRAMS[program], "-c", self.directory, *arguments], capture_output=True,
            cwd=self.directory, input=text, text=True, check=False)
        self.assertEqual((result.stdout, result.stderr, result.returncode),
                         (output, errors, status), command)

    def test_builds_queries_and_dumps(self):
        self.write("m", "a b\n\"x y\" z  w \nfoo\n bar\nNOVAL\n\"open x\nB  c\na dup\n# c\n")
        self.expect(["postmap", "hash:m"], errors="""\
postmap: warning: m, line 5: expected format: key whitespace value
postmap: warning: m, line 6: unbalanced '"' in '"open x' -- ignoring this line
postmap: warning: m.hash.lmdb: duplicate entry: "a"
""")
        self.expect(["postmap", "-q", "B", "hash:m"], "c\n")
        self.expect(["postmap", "-q", "nokey", "hash:m"], status=1)
        self.expect(["postmap", "-s", "hash:m"],
                    "\"x y\"\tz  w\na\tb\nb\tc\nfoo\tbar\n")
        self.expect(["postmap", "-q", "-", "hash:m"], "foo\tbar\na\tb\n",
                    text="nokey\nfoo\na\n")
        self.expect(["postmap", "-q", "-", "hash:m"], status=1, text="nokey\n")

    def test_default_type_and_several_tables(self):
        self.write("x1", "a b\n")
        self.write("x2", "c d\n")
        self.expect(["postmap", "x1", "btree:x2"])
        self.assertTrue(os.path.exists(os.path.join(self.directory, "x1.hash.lmdb")))
        self.expect(["postmap", "-q", "c", "x1", "btree:x2"], "d\n")
        self.expect(["postmap", "-q", "c", "x1", "fail:x", "btree:x2"],
                    errors="postmap: fatal: table fail:x: query error: Application error\n", status=1)
        self.expect(["postmap", "-q", "a", "x1", "fail:x"], "b\n")

    def test_incremental_and_duplicates(self):
        self.expect(["postmap", "-i", "hash:new"], text="zz 1\na 2\nbad\n",
                    errors="postmap: warning: stdin, line 3: expected format: key whitespace value\n")
        self.expect(["postmap", "-i", "hash:new"], text="zz 3\n",
                    errors='postmap: warning: new.hash.lmdb: duplicate entry: "zz"\n')
        self.expect(["postmap", "-wi", "hash:new"], text="zz 4\n")
        self.expect(["postmap", "-q", "zz", "hash:new"], "1\n")
        self.expect(["postmap", "-ri", "hash:new"], text="zz 5\n")
        self.expect(["postmap", "-s", "hash:new"], "a\t2\nzz\t5\n")

    def test_deletes(self):
        self.write("m", "a b\nc d\ne f\n")
        self.expect(["postmap", "-d", "a", "hash:m"], errors="postmap: fatal: open database "
                    "m.hash.lmdb: No such file or directory\n", status=1)
        self.expect(["postmap", "hash:m"])
        self.expect(["postmap", "-d", "a", "hash:m"])
        self.expect(["postmap", "-d", "a", "hash:m"], status=1)
        self.expect(["postmap", "-d", "-", "hash:m"], text="nosuch\nc\n")
        self.expect(["postmap", "-s", "hash:m"], "e\tf\n")
        self.expect(["postmap", "-d", "a", "static:x"], errors="postmap: fatal: table static:x: "
                    "delete operation is not supported\n", status=1)

    def test_leaves_one_file_and_the_mode_of_the_source(self):
        self.write("m", "a b\n")
        os.chmod(os.path.join(self.directory, "m"), 0o600)
        self.expect(["postmap", "hash:m"])
        index = os.path.join(self.directory, "m.hash.lmdb")
        self.assertEqual(os.stat(index).st_mode & 0o777, 0o600)
        self.expect(["postmap", "-p", "hash:m"])
        self.assertEqual(os.stat(index).st_mode & 0o777, 0o644)
        self.assertEqual(sorted(os.listdir(self.directory)), ["m", "m.hash.lmdb", "main.cf"])

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_root_builds_as_the_owner_of_the_source(self):
        self.write("m", "a b\n")
        os.chmod(self.directory, 0o777)
        os.chown(os.path.join(self.directory, "m"), 65534, 65534)
        self.expect(["postmap", "hash:m"])
        index = os.path.join(self.directory, "m.hash.lmdb")
        self.assertEqual(os.stat(index).st_uid, 65534)
        self.expect(["postmap", "-o", "hash:m"])
        self.assertEqual(os.stat(index).st_uid, 0)

    def test_message_on_standard_input(self):
        message = "Subject: a\n b\nFrom: x\n\nbody 1\nbody 2\n"
        self.expect(["postmap", "-h", "-q", "-", "regexp:{{/^(.*)$/m [$1]}}"],
                    "Subject: a\n b\t[Subject: a]\nFrom: x\t[From: x]\n", text=message)
        self.expect(["postmap", "-b", "-q", "-", "regexp:{{/(.*)/ [$1]}}"],
                    "body 1\t[body 1]\nbody 2\t[body 2]\n", text=message)

    def test_mistakes_on_the_command_line(self):
        self.write("m", "a b\n")
        for command, errors in (
                (["postmap"], MAP_USAGE),
                (["postalias"], ALIAS_USAGE),
                (["postmap", "-q", "x"], MAP_USAGE),
                (["postmap", "-x"], "postmap: invalid option -- 'x'\n" + MAP_USAGE),
                (["postalias", "-h", "hash:m"], ALIAS_USAGE),
                (["postmap", "-q", "a", "-q", "b", "hash:m"],
                 "postmap: fatal: specify only one of -s -q or -d\n"),
                (["postmap", "-q", "a", "-s", "hash:m"],
                 "postmap: fatal: specify only one of -s or -q or -d\n"),
                (["postmap", "-h", "-q", "a", "hash:m"],
                 'postmap: fatal: specify -b -h or -m only with "-q -"\n'),
                (["postmap", "hash:nosuch"],
                 "postmap: fatal: open nosuch: No such file or directory\n"),
                (["postmap", "bogus:m"], "postmap: warning: unsupported dictionary type: bogus. "
                 "Is the postfix-bogus package installed?\n"
                 "postmap: fatal: unsupported map type: bogus\n"),
                (["postmap", "-q", "x", "bogus:/x"],
                 "postmap: warning: unsupported dictionary type: bogus. "
                 "Is the postfix-bogus package installed?\n"
                 "postmap: fatal: unsupported dictionary type: bogus\n"),
                (["postmap", "cidr:m"],
                 "postmap: fatal: unsupported map type for this operation: cidr\n"),
                (["postmap", "-q", "x", "texthash:/etc/nosuch"], "postmap: fatal: open database "
                 "/etc/nosuch: No such file or directory\n"),
                (["postmap", "-s", "static:x"],
                 "postmap: fatal: table static:x: sequence operation is not supported\n")):
            self.expect(command, errors=errors, status=1)

    def test_empty_result_is_warned_about(self):
        self.expect(["postmap", "-q", "a", "inline:{a=}"], "\n", """\
postmap: warning: table inline:{a=}: key a: empty string result is not allowed
postmap: warning: table inline:{a=} should return NO RESULT in case of NOT FOUND
""")

    def test_postalias(self):
        self.write("a", "Root: bob\n\"x y\": z,  w \nNOVAL\ninc: :include:/x\nx@y: z\n")
        self.expect(["postalias", "hash:a"], errors="""\
postalias: warning: a, line 3: need name:value pair
postalias: warning: a, line 5: name must be local
""")
        self.expect(["postalias", "-q", "root", "hash:a"], "bob\n")
        self.expect(["postalias", "-s", "hash:a"],
                    "inc:\t:include:/x\nroot:\tbob\nx y:\tz, w\n")
        self.expect(["postalias", "-q", "nokey", "hash:a"], status=1)

    def test_postalias_tidies_values(self):
        self.write("b", "root: \\\\carl,  | cat  >x (c)\n")
        self.expect(["postalias", "hash:b"])
        self.expect(["postalias", "-q", "root", "hash:b"], '"\\\\carl", |cat>x (c)\n')


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
