"""master.cf with two rows of one service, and with rows that share a port."""
import re
import socket

from instance import free_port, wait_until


def banners(port, count=1, host="127.0.0.1"):
    texts = []
    for _ in range(count):
        with socket.create_connection((host, port), 10) as client:
            texts.append(client.makefile(encoding="utf-8").readline().split()[1])
    return texts


def duplicates(server):
    return re.findall(r"master\[\d+\]: warning: duplicate master.cf entry for service (.*) -- using the last entry", server.log())


def test_the_last_row_of_a_service_counts(make_instance):
    port, other = free_port(), free_port()
    rows = [f"{port} inet n - n - - smtpd -o smtpd_banner=first", f"0{port} inet n - n - - smtpd -o smtpd_banner=second",
            f"127.0.0.1:{other} inet n - n - - smtpd -o smtpd_banner=third", f"[127.0.0.1]:{other} inet n - n - - smtpd -o smtpd_banner=fourth",
            "twice unix - - n - - bounce", "twice unix y - n - 0 bounce", "twice unix n - n - - bounce", "twice fifo n - n - - bounce"]
    server = make_instance(["inet_interfaces = 127.0.0.1"], master=rows)
    told = [f'"{port}" ({port})', f'"[127.0.0.1]:{other}" ([127.0.0.1]:{other})', '"twice" (private/twice)']
    assert duplicates(server) == told
    assert banners(port) + banners(other) == ["second", "fourth"]
    server.reload()
    server.wait_log("duplicate master.cf entry.*twice", count=2)
    assert duplicates(server) == told * 2
    assert banners(port) + banners(other) == ["second", "fourth"]


def test_rows_may_share_a_port(make_instance):
    """As in Postfix: a row for one address beside the row for all; equal addresses share the connections."""
    port = free_port()
    server = make_instance(["inet_interfaces = all", "inet_protocols = ipv4"], master=[f"{port} inet n - n - - smtpd -o smtpd_banner=all"])
    assert banners(port, 5) == ["all"] * 5
    server.configure(master=[f"127.0.0.1:{port} inet n - n - - smtpd -o smtpd_banner=one"])
    server.reload()
    wait_until(lambda: banners(port) == ["one"], 10, "the new row")
    assert banners(port, 5) == ["one"] * 5
    assert banners(port, 5, "127.0.0.2") == ["all"] * 5
    server.configure(master=[f"localhost:{port} inet n - n - - smtpd -o smtpd_banner=two"])
    server.reload()
    wait_until(lambda: banners(port) == ["two"], 10, "the newest row")
    assert set(banners(port, 60)) == {"one", "two"}
    assert not duplicates(server) and "in use" not in server.log()
