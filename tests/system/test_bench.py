"""The benchmark suite itself: a short run gives all its files, and what would make a figure false gives none."""
import json
import os
import re
import subprocess
import sys
import time
import types
import xml.etree.ElementTree as ElementTree

import pytest

from fake_smtp import FakeSMTP
from instance import ROOT
from private_root import package_file, why_not

sys.path.append(os.path.join(ROOT, "bench"))
import account  # noqa: E402
import measure  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402

PACE = os.path.join(ROOT, "build/meson/bench/pace")


def bench(folder, *options):
    if why_not():
        pytest.skip(why_not())
    if not any(package_file("postfix", suite) for suite in ("bookworm-backports", "")):
        pytest.skip("Debian's postfix cannot be had here")
    done = subprocess.run([f"{ROOT}/bench/run.py", "--on", "plain", "--pairs", "2", "--seconds", "0.3", "--output", str(folder), *options],
                          capture_output=True, text=True, timeout=1200)
    if "another run of the suite" in done.stderr:
        pytest.skip(done.stderr.strip())
    return done


def test_a_short_run_gives_tables_samples_and_plots(tmp_path):
    """Among the loads is one whose mail is refused: it has no figure, and the run fails."""
    done = bench(tmp_path, "--load", "discard-20", "--load", "fanout-900", "--load", "maildir-20", "--ours", "commit_engine = file",
                 "--main", "smtpd_recipient_restrictions = check_recipient_access inline:{box.test=reject}")
    assert done.returncode == 1 and "no figure for: maildir-20 (rates) on plain" in done.stderr, done.stdout + done.stderr
    place = json.loads((tmp_path / "samples.json").read_text())["places"]["plain"]
    for name in ("discard-20", "fanout-900"):
        load = place["rates"][name]
        assert [len(load["samples"][one]) for one in ("postfix", "posthouse")] == [2, 2]
        first = [load["samples"][one][0]["rate"] for one in ("postfix", "posthouse")]
        assert load["summary"]["ratio"]["least"] <= first[1] / first[0] <= load["summary"]["ratio"]["most"]
    table = (tmp_path / "table.txt").read_text()
    assert "commit_engine = file: each queue file synced by itself" in table
    assert "to discard, 20 kept sessions, 4 KB" in table
    assert "No figure for maildir-20 (rates): smtp-source" in table
    assert "ratios.svg" in (tmp_path / "table.md").read_text()
    ElementTree.parse(tmp_path / "ratios.svg")


# --- without Postfix ---

def tail_of(tmp_path, text):
    log = tmp_path / "mail.log"
    log.write_text("")
    tail = measure.LogTail(str(log))
    log.write_text(text)
    return tail


def test_the_log_is_counted_line_by_line_and_each_byte_once(tmp_path):
    line = "Nov 1 00:00:00 h posthouse/qmgr[1]: ABC: removed\n"
    tail = tail_of(tmp_path, line + line[:-1])
    assert tail.look() == 1
    with open(tail.path, "a", encoding="utf-8") as log:
        log.write("\n" + "posthouse/smtp[1]: ABC: to=<a@b>, status=sent (250 ok)\n")
    assert tail.look() == 2
    assert tail.look() == 2 and tail.check() == 1


@pytest.mark.parametrize("line", ["h postfix/smtp[1]: ABC: to=<a@b>, status=deferred (lost)", "h postfix/qmgr[1]: fatal: no room",
                                  "h posthouse/smtpd[1]: panic: broken", "h x/bounce[1]: ABC: to=<a@b>, status=bounced (no)"])
def test_trouble_in_the_log_is_an_error(tmp_path, line):
    tail = tail_of(tmp_path, "before\n" + line + "\nafter\n")
    tail.look()
    with pytest.raises(AssertionError, match=f"the log says: {re.escape(line)}$"):
        tail.check()


def test_a_message_that_does_not_go_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "STALLED", 0.2)
    with pytest.raises(AssertionError, match="1 of 2 messages are not gone"):
        measure.wait_gone(tail_of(tmp_path, "ABC: removed\n"), 2)


def test_cpu_of_processes_that_ended_is_told_apart():
    before = {1: ("master", 1.0, 5.0, 0), 2: ("cleanup", 3.0, 0, 10), 3: ("smtpd", 1.0, 0, 0)}
    # cleanup ended with 4 s in all; another began.
    after = {1: ("master", 1.5, 9.0, 2), 3: ("smtpd", 1.5, 0, 7), 4: ("cleanup", 0.5, 0, 1)}
    cpu, switched = account.spent(before, after)
    assert cpu == {"master": 0.5, "smtpd": 0.5, "cleanup": 0.5, account.ENDED: 1.0}
    assert switched["smtpd"] == 7


def test_system_calls_are_counted_by_name_with_those_of_children():
    if account.why_not():
        pytest.skip(account.why_not())
    program = ("import os, tempfile, time\nfile = tempfile.TemporaryFile()\nprint('ready', flush=True)\ninput()\nfor i in range(7): os.fsync(file.fileno())\n"
               "if os.fork() == 0:\n  for i in range(5): os.fdatasync(file.fileno())\n  os._exit(0)\nos.wait()\nprint('done', flush=True)\ninput()\n")
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    server = types.SimpleNamespace(processes=lambda: [child.pid])
    child.stdout.readline()
    with account.CallCounter(server) as counter:
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
    child.communicate("\n")
    assert (counter.syncs["fsync"], counter.syncs["fdatasync"]) == (7, 5)
    assert 12 < counter.calls[counter.names[0]] < 300 and counter.calls[account.OTHER] == 0


def test_a_stall_is_charged_to_all_who_waited():
    """One session, 30 ms a message, 50 a second: a closed loop would see 30 ms, but the line grows by half a message each time."""
    def slow(_text, _connection):
        time.sleep(0.03)
        return "250 ok"
    server = FakeSMTP(data_end=slow)
    done = subprocess.run([PACE, str(server.port), "1", "50", "1", "4096", "u@x.test"], capture_output=True, text=True, timeout=60)
    server.close()
    assert done.returncode == 0, done.stderr
    found = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert found["messages"] == "50"
    assert int(found["quantile 1"]) > 500000
    assert len(server.texts) == 150 and all(len(text) > 4096 for text in server.texts)


def test_a_refusal_ends_the_paced_load():
    server = FakeSMTP(rcpt="450 4.2.0 later")
    done = subprocess.run([PACE, str(server.port), "2", "50", "1", "4096", "u@x.test"], capture_output=True, text=True, timeout=60)
    server.close()
    assert done.returncode == 1 and "450 4.2.0 later" in done.stderr


def made_up():
    """Results with each part, to draw and to print."""
    one = {"median": 7.2, "least": 6.5, "most": 8.0}
    costs = {"messages": 10, "rate": 1, "generator_cpu_us": 70, "syncs": {"fsync": 1}, "processes": {
        "smtpd": {"count": 1, "cpu_us": 50, "switches": 1, "calls": 14, "pss_mb": 4}}, "total": {"count": 1, "cpu_us": 50, "switches": 1, "calls": 14, "pss_mb": 4}}
    quantiles = {q: 1000 * n for n, q in enumerate(plot.QUANTILES + ("1",), 1)}
    count = {"first_seconds": 1, "settled_seconds": 2, "qmgr_most_mb": 9, "rate": one, "to_none": one}
    place = {"title": "somewhere", "mounted": "ext4", "sync_us": {"median": 200, "p99": 300}, "differences": [("x", "1", "2")],
             "contestants": [{"name": name, "title": name.title(), "version": "1", "durability": "synced", "syncs": "1.00"} for name in ("postfix", "posthouse")],
             "rates": {"a": {"title": "load a", "unit": "messages/s", "goal": 7, "summary": {"rates": {"postfix": one, "posthouse": one}, "ratio": one, "generator_share": {"postfix": 0.1, "posthouse": 0.3}}},
                       "b": {"error": "one message was lost"}},
             "accounts": {"a": {"postfix": costs, "posthouse": costs}},
             "latencies": {"250": {"cases": [{"contestant": name, "title": name, "rate": 100, "what": "half", "quantiles": quantiles, "runs": [{"messages": 100000}]}
                                             for name in ("postfix", "posthouse", "posthouse")]}},
             "backlogs": {"postfix": {"0": count}, "posthouse": {"0": count}}}
    return {"date": "today", "note": "", "revision": "r", "cores": 2, "processor": "p", "kernel": "k", "generator": "g", "load_average": 0, "pairs": 5,
            "seconds": 4, "places": {"plain": place}, "left_out": {}}


def test_all_parts_are_drawn_and_printed(tmp_path):
    report.write(made_up(), str(tmp_path))
    drawn = sorted(name for name in os.listdir(tmp_path) if name.endswith(".svg"))
    assert drawn == ["calls-plain.svg", "cpu-plain.svg", "latency-plain.svg", "ratios.svg"]
    for name in drawn:
        ElementTree.parse(tmp_path / name)
    for name in ("table.txt", "table.md"):
        text = (tmp_path / name).read_text()
        assert "7.20 (6.50-8.00)" in text and "No figure for b (rates): one message was lost" in text
        assert "busy with other work" not in text
    report.write(dict(made_up(), load_average=1.5), str(tmp_path))
    assert "busy with other work" in (tmp_path / "table.txt").read_text()
    assert report.failures(made_up()) == ["b (rates) on plain"]
