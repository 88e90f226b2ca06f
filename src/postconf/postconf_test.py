"""postconf as a command. The expected texts are those of postconf 3.7 and 3.10."""

import os
import subprocess
import sys
import tempfile
import unittest

POSTCONF = os.environ["PROGRAM"]

MAIN = """\
mail_owner=mail
smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, \
reject_unauth_destination, reject_unknown_sender_domain, check_policy_service inet:127.0.0.1:10023
mine = foo $bar
relayhost = [$mine]
smtpd_restriction_classes = cls
cls = permit
virtual_alias_maps = ldap:people
people_server_host = h
  h2
stray = x
fallback_relay = x
mydestination = $nosuch
myhostname = mx.example.com
"""

MASTER = """\
smtp      inet  n       -       n       -       -       smtpd
  -o mine=x
  -o other=$stray2
  -o smtpd_tls_security_level=encrypt -v
relay     unix  -       -       n       -       -       smtp
pipe1     unix  -       n       n       -       -       pipe flags=R user=nobody argv=/bin/x -o $sender
b2 unix - n n - - pipe aaaaaaaaaaaaaaaaaa b
d inet n n n 60? 3 smtpd -o { a = b, c }
longlonglonglonglong unix - n n - - pipe flags=x user=y argv=a b c {d e}
"""

UNDEFINED = """\
postconf: warning: {d}/master.cf: undefined parameter: stray2
postconf: warning: {d}/main.cf: undefined parameter: bar
postconf: warning: {d}/main.cf: undefined parameter: nosuch
"""
UNUSED_MASTER = """\
postconf: warning: {d}/master.cf: unused parameter: other=$stray2
postconf: warning: {d}/master.cf: unused parameter: a=b, c
"""
UNUSED = "postconf: warning: {d}/main.cf: unused parameter: stray=x\n" + UNUSED_MASTER


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        self.write("main.cf", MAIN)
        self.write("master.cf", MASTER)

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
            file.write(text)

    def run_postconf(self, *arguments, directory=True):
        where = ["-c", self.directory] if directory else []
        return subprocess.run([POSTCONF, *where, *arguments], capture_output=True, text=True,
                              check=False)

    def expect(self, arguments, output, errors="", status=0):
        result = self.run_postconf(*arguments)
        self.assertEqual(result.stdout, output)
        self.assertEqual(result.stderr, errors.replace("{d}", self.directory))
        self.assertEqual(result.returncode, status)

    def test_non_default_parameters_and_doubts(self):
        self.expect(["-n"], f"""\
cls = permit
config_directory = {self.directory}
fallback_relay = x
mail_owner = mail
mine = foo $bar
mydestination = $nosuch
myhostname = mx.example.com
people_server_host = h h2
relayhost = [$mine]
smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, \
reject_unauth_destination, reject_unknown_sender_domain, check_policy_service inet:127.0.0.1:10023
smtpd_restriction_classes = cls
virtual_alias_maps = ldap:people
""", UNDEFINED + UNUSED)

    def test_folds_expands_and_hides(self):
        self.expect(["-f", "smtpd_recipient_restrictions"], """\
smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated,
    reject_unauth_destination, reject_unknown_sender_domain,
    check_policy_service inet:127.0.0.1:10023
""", UNDEFINED + UNUSED)
        self.expect(["-x", "relayhost", "mydomain"], "relayhost = [foo ]\nmydomain = example.com\n",
                    UNDEFINED + UNUSED)
        self.expect(["-h", "relayhost"], "[$mine]\n", UNDEFINED + UNUSED)
        self.expect(["-H", "relayhost", "soft_bounce"], "relayhost\nsoft_bounce\n",
                    UNDEFINED + UNUSED)
        self.expect(["-d", "-f", "relayhost", "smtpd_timeout", "smtpd_expansion_filter"],
                    "relayhost =\nsmtpd_timeout = ${stress?{10}:{300}}s\n"
                    "smtpd_expansion_filter =\n"
                    "    \\t\\40!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\\\]^_"
                    "`abcdefghijklmnopqrstuvwxyz{|}~\n")

    def test_unknown_names_are_warned_about(self):
        self.expect(["-d", "nosuch", "soft_bounce"], "soft_bounce = no\n",
                    "postconf: warning: nosuch: unknown parameter\n")
        self.expect(["stray"], "", UNDEFINED + "postconf: warning: stray: unknown parameter\n"
                    + UNUSED)

    def test_classes_of_parameters(self):
        self.expect(["-C", "user"], "cls = permit\nfallback_relay = x\nmine = foo $bar\n"
                    "people_server_host = h h2\n", UNDEFINED + UNUSED)
        self.expect(["-d", "-C", "service", "relay_transport_rate_delay", "pipe1_time_limit"],
                    "relay_transport_rate_delay = $default_transport_rate_delay\n"
                    "pipe1_time_limit = $command_time_limit\n")
        self.expect(["-d", "relay_time_limit"], "",
                    "postconf: warning: relay_time_limit: unknown parameter\n")
        self.expect(["-C", "foo"], "",
                    'postconf: fatal: unknown -C option value "foo" in "foo"\n', 1)

    def test_lists_all_names_sorted_with_each_default_of_every_type(self):
        result = self.run_postconf("-d")
        names = [line.split(" =")[0] for line in result.stdout.splitlines()]
        self.assertEqual(names, sorted(names))
        self.assertGreater(len(names), 900)
        self.assertIn("relay_destination_rate_delay", names)
        self.assertNotIn("fallback_relay", names)

    def test_rows_of_master_cf(self):
        self.expect(["-M"], """\
smtp       inet  n       -       n       -       -       smtpd -o mine=x -o other=$stray2 \
-o smtpd_tls_security_level=encrypt -v
relay      unix  -       -       n       -       -       smtp
pipe1      unix  -       n       n       -       -       pipe flags=R user=nobody argv=/bin/x -o $sender
b2         unix  -       n       n       -       -       pipe aaaaaaaaaaaaaaaaaa b
d          inet  n       n       n       60?     3       smtpd -o {a=b, c}
longlonglonglonglong unix - n    n       -       -       pipe flags=x user=y argv=a b c {d e}
""", UNDEFINED + UNUSED_MASTER)
        self.expect(["-Mf"], """\
smtp       inet  n       -       n       -       -       smtpd
    -o mine=x
    -o other=$stray2
    -o smtpd_tls_security_level=encrypt
    -v
relay      unix  -       -       n       -       -       smtp
pipe1      unix  -       n       n       -       -       pipe flags=R
    user=nobody argv=/bin/x -o $sender
b2         unix  -       n       n       -       -       pipe
    aaaaaaaaaaaaaaaaaa b
d          inet  n       n       n       60?     3       smtpd
    -o {a=b, c}
longlonglonglonglong unix - n    n       -       -       pipe flags=x user=y
    argv=a b c {d e}
""", UNDEFINED + UNUSED_MASTER)
        self.expect(["-M", "relay/unix", "smtp", "inet"], """\
relay      unix  -       -       n       -       -       smtp
smtp       inet  n       -       n       -       -       smtpd -o mine=x -o other=$stray2 \
-o smtpd_tls_security_level=encrypt -v
""", UNDEFINED + 'postconf: warning: unmatched request: "inet"\n' + UNUSED_MASTER)

    def test_overrides(self):
        result = self.run_postconf("-o", "relayhost=z", "-n", "relayhost")
        self.assertEqual(result.stdout, "relayhost = z\n")
        self.expect(["-o", "foo", "relayhost"], "", "postconf: fatal: invalid parameter override: "
                    "foo: missing '=' after attribute name\n", 1)
        result = self.run_postconf("-h", "-o", "mynetworks_style=subnet", "-o",
                                   "inet_interfaces=127.0.0.1", "-o", "inet_protocols=ipv4",
                                   "mynetworks")
        self.assertIn(result.stdout, ("127.0.0.0/8\n", "127.0.0.1/32\n"))
        self.expect(["-d", "-o", "mynetworks_style=foo"], "", 'postconf: fatal: unknown mynetworks '
                    'mask style value "foo" in "foo"\n', 1)

    def test_what_excludes_each_other(self):
        for arguments, message in (
                (["-d", "-n"], "specify one of -d -n"),
                (["-l", "-m"], "specify one of -l -m"),
                (["-h", "-H"], "specify one of -h -H"),
                (["-M", "-n"], "with option -M, do not specify -n"),
                (["-m", "-d"], "with option -m, do not specify -d"),
                (["-d", "relayhost=x"], "specify one of -d -e"),
                (["-t", "-n"], "with option -t, do not specify -n"),
                (["-E"], "option -E is not built yet")):
            self.expect(arguments, "", f"postconf: fatal: {message}\n", 1)
        result = self.run_postconf("-Z")
        self.assertEqual(result.returncode, 1)
        self.assertTrue(result.stderr.startswith("postconf: invalid option -- 'Z'\n"
                                                 "postconf: fatal: usage: postconf [-a (server"))

    def test_trouble_with_the_files(self):
        result = self.run_postconf("-c", "/nonexistent", "myhostname")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr,
                         "postconf: fatal: open /nonexistent/main.cf: No such file or directory\n")
        self.write("main.cf", "relayhost = ${x\n")
        result = self.run_postconf("-x", "relayhost")
        self.assertEqual(result.returncode, 1)
        self.assertIn('warning: truncated macro reference: "${x"', result.stderr)
        self.assertTrue(result.stderr.endswith("fatal: macro processing error\n"))
        self.write("main.cf", "foo\n")
        result = self.run_postconf("relayhost")
        self.assertEqual(result.stderr, f"postconf: fatal: {self.directory}/main.cf, line 1: "
                         "missing '=' after attribute name: \"foo\"\n")
        self.write("main.cf", "relayhost = a\n")
        os.unlink(os.path.join(self.directory, "master.cf"))
        self.expect(["relayhost"], "relayhost = a\n", "postconf: warning: open {d}/master.cf: "
                    "No such file or directory\n")
        self.expect(["-M"], "",
                    "postconf: fatal: open {d}/master.cf: No such file or directory\n", 1)

    def test_what_this_build_can_do(self):
        result = self.run_postconf("-m")
        self.assertEqual(result.stdout.splitlines(), sorted(result.stdout.splitlines()))
        self.assertIn("regexp", result.stdout.splitlines())
        self.expect(["-l"], "flock\nfcntl\ndotlock\n")
        self.assertTrue(self.run_postconf("-T", "run-version").stdout.startswith("OpenSSL 3."))

    def test_no_effect_lists_what_is_set_in_vain(self):
        self.write("main.cf", "tlsproxy_watchdog_timeout = 5s\nmine = 1\nmail_name = $mine\n")
        names = self.run_postconf("--no-effect", "-H").stdout.splitlines()
        self.assertIn("tlsproxy_watchdog_timeout", names)
        self.assertNotIn("mine", names)
        everything = self.run_postconf("--no-effect", "-d", "-H").stdout.splitlines()
        self.assertGreater(len(everything), len(names))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
