"""Our log of a mixed run is Postfix's log of the same run, line by line and as pflogsumm, logwatch and fail2ban read it."""
import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import scenario_masks
from log_run import RUN, Run
from reference import Ours, Reference

TOOLS = ("pflogsumm", "logwatch", "fail2ban-regex")

# What may differ in this run beyond what may differ in any, and why.
TEMPLATE = r"\[built-in\]: zero result in delay template|please reduce time unit \"hours\"|for instructions see the bounce\(5\)"  # once a process
# Said when the end takes longer than a second, whoever's it is.
SLOW_END = r"waiting for the Postfix mail system to terminate|Postfix waiting to terminate"
THEIRS_ONLY = scenario_masks.THEIRS_ONLY + [
    TEMPLATE,
    SLOW_END,
    "^scache: statistics: ",  # a connection was kept for a next message, as the times of the run had it
    # Their cleanup reads along while smtpd receives; ours gets a text that was received whole.
    r"^cleanup: warning: ID: queue file size limit exceeded|mail_stream_cleanup: close error|message-id=<big@a.test>",
]
OURS_ONLY = scenario_masks.OURS_ONLY + [TEMPLATE, SLOW_END]


def masked(text):
    """Without what two runs of one system differ in: ids, times, sizes, versions."""
    for pattern, mask in ((r"\w{3} +\d+ [\d:]{8} \S+ postfix/([\w/-]+)\[\d+\]", r"\1"), (r"<\d{14}\.[0-9A-F]+@", "<ID@"),
                          (r"\b[0-9A-F]{6,}\b", "ID"), (r"delay=[\d.]+, delays=[\d./]+", "delay=N"), (r"size=\d+", "size=N"),
                          (r"version \d[\d.]+", "version N")):
        text = re.sub(pattern, mask, text)
    return re.sub(r"\s+", " ", text).strip()


def counted(lines, excused):
    wanted = (masked(line) for line in lines)
    return Counter(line for line in wanted if line and not any(re.search(pattern, line) for pattern in excused))


def differences(both, lines_of, and_excused=()):
    """Of two texts: what stands in one more often than in the other, as (theirs, ours, line)."""
    theirs, ours = (counted(lines_of(text), [*excused, *and_excused]) for text, excused in zip(both, (THEIRS_ONLY, OURS_ONLY)))
    assert sum(theirs.values()) > 0
    return [(theirs[line], ours[line], line) for line in sorted(theirs | ours) if theirs[line] != ours[line]]


@pytest.fixture(scope="module")
def both():
    for tool in TOOLS:
        if shutil.which(tool, path="/usr/sbin:/usr/bin:/bin") is None:
            pytest.skip(f"{tool} is not installed")
    assert sum(row[0] for row in RUN) >= 200
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda kind: Run(kind).perform(), (Reference, Ours)))


def of(both, name):
    return [found[name] for found in both]


def test_the_run_has_all_kinds(both):
    for log in of(both, "log"):
        for pattern in ("status=sent", "status=bounced", "status=deferred", "status=SOFTBOUNCE", "status=expired", "status=force-expired",
                        ": reject: RCPT", ": reject: MAIL", ": hold: ", "placed on hold", "released from hold", "requeued", "orig_to=",
                        "sender non-delivery notification", "sender delay notification", "sender delivery status notification",
                        "postmaster non-delivery notification", "postmaster delay notification",
                        "lost connection after", "timeout after", "too many errors", "improper command pipelining", "does not resolve to"):
            assert pattern in log, pattern


def test_log_has_postfix_s_lines(both):
    assert differences(of(both, "log"), str.splitlines) == []


def pflogsumm_lines(report):
    """All counts but bytes, times of the day, delays; details whole."""
    at = [report.index(title) for title in ("Grand Totals", "Per-Hour Traffic Summary", "Host/Domain Summary: Message Delivery",
                                            "Host/Domain Summary: Messages Received", "Senders by message size", "message deferral detail")]
    hosts = [" ".join(line.split()[i] for i in (0, 2, -1)) for line in report[at[2]:at[3]].splitlines() if re.match(r" +\d+ ", line)]
    received = [re.sub(r"(?<=\d) +\d+k?  ", " ", line) for line in report[at[3]:at[4]].splitlines()]
    details = re.sub(r"\s(bounce|cleanup|smtpd|master) \(total: \d+\)", "", report[at[5]:])
    return [line for line in report[at[0]:at[1]].splitlines() if "bytes" not in line] + hosts + received + details.splitlines()


def test_pflogsumm_counts_the_same(both):
    # In its sections of warnings a line has no service; the queue file's size is smtpd's and, with Postfix, also cleanup's.
    excused = [r"queue file size limit exceeded", r"/etc/postfix/ma(in|ster)\.cf: "]
    assert differences(of(both, "pflogsumm"), pflogsumm_lines, excused) == []


def logwatch_lines(report):
    """Unmatched lines come with how often the same was said in the same second by the same process."""
    body, _, unmatched = report[report.index("Postfix Begin"):report.index("Postfix End")].partition("Unmatched Entries")
    rows = [re.match(r" *(\d+) +(\w{3} +\d+ [\d:]{8} .*)", line) for line in unmatched.splitlines()]
    return body.splitlines() + [f"unmatched: {row[2]}" for row in rows if row for _ in range(int(row[1]))]


def test_logwatch_counts_the_same_and_leaves_the_same_unmatched(both):
    excused = [r"[Bb]ytes", r"^(Before qmgr|In qmgr|Conn setup|Transmission|Total) [\d. ]+$", "^[=-]+$",
               r"Queue file size limit|Miscellaneous warnings|Postfix start|/etc/postfix/ma(in|ster)\.cf: "]
    assert differences(of(both, "logwatch"), logwatch_lines, excused) == []


def fail2ban_lines(kind):
    def lines(report):
        section = re.search(rf"^\|- {kind} line\(s\):\n((?:\|.*\n)*)", report, re.M)
        return [line[3:] for line in section[1].splitlines()] if section else []
    return lines


def test_fail2ban_matches_and_misses_the_same(both):
    assert differences(of(both, "fail2ban"), fail2ban_lines("Matched")) == []
    assert differences(of(both, "fail2ban"), fail2ban_lines("Missed")) == []
