"""What the postmaster hears of sessions. Words and layout are compared with Postfix's in tests/compat/scenario/transcript."""
import pytest

from instance import USER, wait_until

MAIN = ["notify_classes = protocol", f"error_notice_recipient = {USER}@lab.test", "mydestination = lab.test", "myorigin = lab.test",
        "local_recipient_maps ="]


def notices(mail):
    return [text.decode() for text in mail.mailbox() if b"\nSubject: Postfix SMTP server: errors from" in text]


def session(mail, *commands):
    with mail.connect() as wire:
        wire.say("EHLO c.test")
        for command in commands:
            wire.say(command)
        wire.say("QUIT")


@pytest.mark.parametrize("settings, told, lines", [
    ([], 1, 2), (["notify_classes = policy"], 0, 0), (["error_notice_recipient = nobody-here@other.test", "transport_maps = inline:{other.test=discard:}"], 0, 0),
    # What was said up to the first RSET is told by itself.
    (["smtpd_history_flush_threshold = 3"], 2, 1)])
def test_transcripts_of_smtpd(make_instance, settings, told, lines):
    mail = make_instance(MAIN + settings)
    session(mail, "FOO", "RSET", "BAR")
    mail.wait_log("disconnect from")
    mail.wait_empty()
    found = notices(mail)
    assert len(found) == told
    for text in found:
        assert text.count(" Out: 500 5.5.2 Error: command not recognized\n") == lines
    if "error_notice_recipient" in str(settings):
        mail.wait_log("to=<nobody-here@other.test>.*status=sent")


def test_a_transcript_is_bounded_and_has_no_text_of_mail(make_instance):
    mail = make_instance(MAIN + ["smtpd_junk_command_limit = 100000", "smtpd_history_flush_threshold = 100000"])
    with mail.connect() as wire:
        wire.say("EHLO c.test")
        wire.say("FOO")
        for _ in range(1500):
            wire.say("NOOP " + "x" * 60)
        wire.say("MAIL FROM:<s@a.test>")
        wire.say(f"RCPT TO:<{USER}@lab.test>")
        wire.say("DATA")
        wire.raw(b"Subject: s\r\n\r\nthe secret text\r\n")  # and breaks off
    text = wait_until(lambda: notices(mail))[0]
    assert 60000 < len(text) < 80000 and " (what follows was too long)\n" in text and "secret" not in text
    assert "\nSession aborted, reason: lost connection\n" in text


def test_a_session_loses_nothing_when_its_transcript_cannot_be_sent(make_instance):
    mail = make_instance(MAIN + ["double_bounce_sender = x", "ipc_timeout = 3s", "header_checks = inline:{{Subject: Postfix SMTP server=x}}"])
    mail.stop()
    mail.configure(["header_checks = regexp:" + mail.etc + "/checks", "internal_mail_filter_classes = notify"])
    with open(mail.etc + "/checks", "w", encoding="utf-8") as file:
        file.write("/^Subject: Postfix SMTP server/ REJECT not this\n")
    mail.start()
    session(mail, "FOO")
    mail.wait_log("warning: cannot tell the postmaster of the session with localhost")
    with mail.smtp() as client:
        client.sendmail("s@a.test", f"{USER}@lab.test", "Subject: x\r\n\r\nx\r\n")
    assert b"Subject: x" in mail.wait_mail()[0] and not notices(mail)
