#include "smtpd/transcript.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "client/own_mail.h"
#include "mail/fold.h"
#include "smtpd/smtpd.h"

#define LINE_WIDTH 79

struct transcript {
	struct buf text; /* laid out */
	int64_t lines;
};

unsigned transcript_classes(const char *list)
{
	static const struct {
		const char *name;
		enum notice_class class;
	} classes[] = {
	    {"bounce", NOTICE_BOUNCE},
	    {"policy", NOTICE_POLICY},
	    {"protocol", NOTICE_PROTOCOL},
	    {"resource", NOTICE_RESOURCE},
	    {"software", NOTICE_SOFTWARE},
	};
	unsigned found = 0;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (own_mail_class(list, classes[i].name))
			found |= (unsigned)classes[i].class;
	return found;
}

struct transcript *transcript_new(void)
{
	struct transcript *t = memory_alloc(sizeof(*t));
	buf_init(&t->text, TRANSCRIPT_MAX);
	return t;
}

void transcript_free(struct transcript *t)
{
	if (t == NULL)
		return;
	buf_free(&t->text);
	free(t);
}

/* A line that does not fit is not begun. */
static void add(struct transcript *t, const char *prefix, struct str line)
{
	size_t before = t->text.len;
	if (!buf_ok(&t->text))
		return;
	t->lines++;
	buf_add_cstr(&t->text, prefix);
	size_t start = t->text.len;
	fold_words(line, LINE_WIDTH, "\n     ", &t->text);
	buf_add_char(&t->text, '\n');
	for (size_t i = start; i < t->text.len; i++) {
		unsigned char c = (unsigned char)t->text.p[i];
		if ((c < 32 && c != '\n') || c == 127)
			t->text.p[i] = '?';
	}
	if (!buf_ok(&t->text))
		t->text.len = before;
}

void transcript_in(struct transcript *t, struct str line)
{
	add(t, " In:  ", line);
}

void transcript_out(struct transcript *t, struct str lines)
{
	struct str line;
	while (str_next(&lines, "\r\n", &line))
		add(t, " Out: ", line);
}

static void write_text(
    const struct session *s, struct str recipient, const char *reason, struct buf *out)
{
	const struct common_params *common = service_common();
	const struct transcript *t = s->transcript;
	buf_printf(
	    out, "From: Mail Delivery System <MAILER-DAEMON@%s>\n", common->myhostname);
	buf_printf(out, "To: Postmaster <%.*s>\n", STR_ARG(recipient));
	buf_printf(out, "Subject: %s SMTP server: errors from %.*s\n", common->mail_name,
	    STR_ARG(s->client_text));
	buf_add_cstr(out, "\nTranscript of session follows.\n\n");
	buf_add(out, t->text.p, t->text.len);
	if (!buf_ok(&t->text))
		buf_add_cstr(out, " (what follows was too long)\n");
	buf_add_char(out, '\n');
	if (reason != NULL)
		buf_printf(out, "Session aborted, reason: %s\n", reason);
	buf_add_cstr(out, "\nFor other details, see the local mail logfile\n");
}

static void tell(struct session *s, const char *reason)
{
	const struct smtpd_params *p = &smtpd.params;
	char id[64];
	struct str recipient =
	    str_of(s->trouble & NOTICE_BOUNCE ? p->bounce_notice_recipient
					      : p->error_notice_recipient);
	CLEANUP(buf_free) struct buf text = BUF_INIT(TRANSCRIPT_MAX + 8192);
	CLEANUP(buf_free) struct buf sender = BUF_INIT(ADDRESS_MAX);
	write_text(s, str_of(p->error_notice_recipient), reason, &text);
	buf_printf(&sender, "%s@%s", service_common()->double_bounce_sender,
	    service_common()->myhostname);
	struct own_mail mail = {
	    .sender = buf_str(&sender),
	    .recipient = recipient,
	    .filter = own_mail_class(p->internal_mail_filter_classes, "notify"),
	    .text = buf_str(&text),
	};
	int error = own_mail_send(smtpd.cleanup, service_common(), &mail, id);
	if (error != 0)
		log_warning("cannot tell the postmaster of the session with %.*s: %s",
		    STR_ARG(s->client_text), strerror(-error));
}

void transcript_send(struct session *s, const char *reason)
{
	if ((s->trouble & smtpd.notify) != 0)
		tell(s, reason);
	s->trouble = NOTICE_NONE;
}

void transcript_shorten(struct session *s)
{
	struct transcript *t = s->transcript;
	if (t == NULL || t->lines <= smtpd.params.smtpd_history_flush_threshold)
		return;
	transcript_send(s, NULL);
	buf_clear(&t->text);
	t->lines = 0;
}
