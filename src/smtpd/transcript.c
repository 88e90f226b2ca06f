#include "smtpd/transcript.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "client/own_mail.h"
#include "mail/fold.h"
#include "smtpd/smtpd.h"

#define LINE_WIDTH 79

/* What was said lies here as it was said, and is laid out when somebody is told of it,
 * which is rare: every session pays for keeping it. */
struct transcript {
	struct buf said; /* of each line or reply: a struct piece, and its bytes */
	int64_t lines;
};

struct piece {
	uint32_t len;
	bool is_ours;
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
		if (str_list_has(str_of(list), classes[i].name))
			found |= (unsigned)classes[i].class;
	return found;
}

struct transcript *transcript_new(void)
{
	struct transcript *t = memory_alloc(sizeof(*t));
	buf_init(&t->said, TRANSCRIPT_MAX);
	return t;
}

void transcript_free(struct transcript *t)
{
	if (t == NULL)
		return;
	buf_free(&t->said);
	free(t);
}

/* A piece that does not fit is not begun, and none after it. */
static void keep(struct transcript *t, struct str text, bool is_ours)
{
	struct piece piece = {.len = (uint32_t)text.len, .is_ours = is_ours};
	size_t size = sizeof(piece) + text.len;
	char *room = buf_ok(&t->said) ? buf_reserve(&t->said, size) : NULL;
	t->lines++;
	if (room == NULL || text.len == 0)
		return;
	memcpy(room, &piece, sizeof(piece));
	memcpy(room + sizeof(piece), text.p, text.len);
	buf_advance(&t->said, size);
}

void transcript_in(struct transcript *t, struct str line)
{
	keep(t, line, false);
}

void transcript_out(struct transcript *t, struct str lines)
{
	keep(t, lines, true);
}

static void lay_out_line(struct buf *out, const char *prefix, struct str line)
{
	buf_add_cstr(out, prefix);
	size_t start = out->len;
	fold_words(line, LINE_WIDTH, "\n     ", out);
	buf_add_char(out, '\n');
	for (size_t i = start; i < out->len; i++) {
		unsigned char c = (unsigned char)out->p[i];
		if ((c < 32 && c != '\n') || c == 127)
			out->p[i] = '?';
	}
}

static void lay_out(const struct transcript *t, struct buf *out)
{
	struct piece piece;
	for (size_t at = 0; at < t->said.len; at += sizeof(piece) + piece.len) {
		memcpy(&piece, t->said.p + at, sizeof(piece));
		struct str text = {t->said.p + at + sizeof(piece), piece.len}, line;
		if (!piece.is_ours)
			lay_out_line(out, " In:  ", text);
		while (piece.is_ours && str_next(&text, "\r\n", &line))
			lay_out_line(out, " Out: ", line);
	}
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
	lay_out(t, out);
	if (!buf_ok(&t->said))
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
	CLEANUP(buf_free) struct buf text = BUF_INIT(2 * TRANSCRIPT_MAX + 8192);
	CLEANUP(buf_free) struct buf sender = BUF_INIT(ADDRESS_MAX);
	write_text(s, str_of(p->error_notice_recipient), reason, &text);
	buf_printf(&sender, "%s@%s", service_common()->double_bounce_sender,
	    service_common()->myhostname);
	struct own_mail mail = {
	    .sender = buf_str(&sender),
	    .recipient = recipient,
	    .filter = str_list_has(str_of(p->internal_mail_filter_classes), "notify"),
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
	buf_clear(&t->said);
	t->lines = 0;
}
