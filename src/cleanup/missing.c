/* Fields that a message lacks at the end of its header. */
#include "base/clock.h"
#include "cleanup/cleanup.h"
#include "mail/fold.h"
#include "mail/received.h"

static void add_message_id(struct message *m)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(1024);
	CLEANUP(buf_free) struct buf line = BUF_INIT(1100);
	message_id_write(&value, str_of(m->id), str_of(service_common()->myhostname),
	    clock_wall_seconds());
	buf_printf(
	    &line, "%sMessage-Id: %s", m->resent ? "Resent-" : "", buf_cstr(&value));
	content_write_lines(m, buf_str(&line));
	header_note_message_id(m, m->resent, buf_str(&value));
}

static void add_date(struct message *m)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(128);
	buf_add_cstr(&line, m->resent ? "Resent-Date: " : "Date: ");
	clock_add_rfc5322(&line, m->envelope.arrival_seconds);
	content_write_lines(m, buf_str(&line));
}

static bool is_plain_phrase(struct str name)
{
	static const char atext[] = "!#$%&'*+-/=?^_`{|}~ ";
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_alnum(name.p[i]) &&
		    (name.p[i] == '\0' || strchr(atext, name.p[i]) == NULL))
			return false;
	return true;
}

/* Words stay, others are quoted (RFC 5322 3.2.4). */
static void add_phrase(struct buf *out, struct str name)
{
	if (!str_is_ascii(name)) {
		encoded_words(
		    str_trim(name), cleanup.params.full_name_encoding_charset, out);
		return;
	}
	if (is_plain_phrase(name)) {
		buf_add_str(out, name);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(
		    out, name.p[i] == '\n' || name.p[i] == '\r' ? ' ' : name.p[i]);
	}
	buf_add_char(out, '"');
}

/* RFC 5322 3.2.2: a comment holds pairs of parentheses. One too many is left out, one
 * that is missing put behind; a backslash needs what it quotes. */
static void add_comment(struct buf *out, struct str name)
{
	size_t open = 0;
	buf_add_cstr(out, " (");
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];
		if ((c == '\\' && i + 1 == name.len) || (c == ')' && open == 0))
			continue;
		buf_add_char(out, c);
		if (c == '\\')
			buf_add_char(out, name.p[++i]);
		open += c == '(' ? 1 : 0;
		open -= c == ')' ? 1 : 0;
	}
	buf_add_fill(out, ')', open + 1);
}

/* header_from_format: "Name <address>", or, as very old systems want it, "address
 * (Name)".
 */
static void add_named_from(struct message *m, struct buf *line, struct str address)
{
	CLEANUP(buf_free) struct buf folded = BUF_INIT(ADDRESS_MAX * 2 + 8192);
	struct str name = m->envelope.full_name;
	if (str_is(str_of(cleanup.params.header_from_format), "obsolete")) {
		CLEANUP(buf_free) struct buf encoded = BUF_INIT(name.len * 4 + 1024);
		if (!str_is_ascii(name))
			encoded_words(
			    name, cleanup.params.full_name_encoding_charset, &encoded);
		buf_add_str(line, address);
		add_comment(line, encoded.len > 0 ? buf_str(&encoded) : name);
		content_write_lines(m, buf_str(line));
		return;
	}
	add_phrase(line, name);
	fold_angle(buf_str(line), address, &folded);
	content_write_lines(m, buf_str(&folded));
}

static void add_from(struct message *m)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(ADDRESS_MAX * 2 + 4096);
	CLEANUP(buf_free) struct buf address = BUF_INIT(ADDRESS_MAX * 2);
	buf_add_cstr(&line, m->resent ? "Resent-From: " : "From: ");
	if (m->sender.len == 0)
		buf_add_cstr(&address, "MAILER-DAEMON");
	else
		address_quote(&address, m->sender);
	if (m->sender.len > 0 && m->envelope.full_name.len > 0) {
		add_named_from(m, &line, buf_str(&address));
		return;
	}
	buf_add_str(&line, buf_str(&address));
	content_write_lines(m, buf_str(&line));
}

static bool has_recipients(const struct message *m)
{
	return m->seen[HEADER_TO] || m->seen[HEADER_CC] || m->seen[HEADER_RESENT_TO] ||
	    m->seen[HEADER_RESENT_CC];
}

static void add_undisclosed(struct message *m)
{
	struct str field = str_of(cleanup.params.undisclosed_recipients_header);
	if (field.len > 0)
		content_write_lines(m, field);
}

/* RFC 6409 8: a submission server may add these; mail from elsewhere stays as it is. */
void header_end(struct message *m)
{
	bool wanted =
	    m->rewriting != HEADER_AS_IT_IS || cleanup.params.always_add_missing_headers;
	enum header_id id = m->resent ? HEADER_RESENT_MESSAGE_ID : HEADER_MESSAGE_ID;
	if (wanted && !m->seen[id])
		add_message_id(m);
	if (wanted && !m->seen[m->resent ? HEADER_RESENT_DATE : HEADER_DATE])
		add_date(m);
	if (wanted && !m->seen[m->resent ? HEADER_RESENT_FROM : HEADER_FROM])
		add_from(m);
	if (wanted && !has_recipients(m))
		add_undisclosed(m);
	if (!m->seen[HEADER_MESSAGE_ID] && m->message_id.len == 0)
		header_log_message_id(m, STR("<>"), false);
}
