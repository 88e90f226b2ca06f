/* Single header fields: counted, dropped, rewritten; what is missing is added at the end.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "mail/address_list.h"
#include "mail/log_lines.h"
#include "mail/received.h"

static bool is_ours(const struct message *m)
{
	return (m->envelope.flags & CLEANUP_COMPLETE) != 0;
}

static void note_message_id(struct message *m, enum header_id id, struct str body)
{
	struct str *kept =
	    id == HEADER_MESSAGE_ID ? &m->message_id : &m->resent_message_id;
	struct str copy = arena_str(m->arena, str_slice(str_trim(body), 0, 998));
	if (kept->len == 0 && copy.p != NULL)
		*kept = copy;
}

static bool complete(void *context, struct str internal, struct buf *replacement)
{
	struct str address = address_complete(context, internal);
	if (!str_equal(address, internal))
		buf_add_str(replacement, address);
	return true;
}

/* Addresses in the header of our own mail get their domain (RFC 5322 3.4 wants one). */
static void write_rewritten(struct message *m, struct str field, struct str body)
{
	CLEANUP(buf_free)
	struct buf text = BUF_INIT((size_t)cleanup.params.header_size_limit * 2);
	buf_add_str(&text, str_slice(field, 0, (size_t)(body.p - field.p)));
	(void)address_list_walk(
	    body, (size_t)cleanup.params.header_address_token_limit, complete, m, &text);
	CLEANUP(buf_free) struct buf folded = BUF_INIT(text.len * 2 + 16);
	fold_addresses(buf_str(&text), &folded);
	content_write_lines(
	    m, buf_ok(&text) && buf_ok(&folded) ? buf_str(&folded) : field);
}

static bool has_bare_address(struct str body)
{
	/* Every address with a dotted domain stays as it is; only other fields need a
	 * closer look. */
	struct str rest = body, word;
	while (str_next(&rest, ",", &word)) {
		ptrdiff_t at = str_find_last(word, '@');
		if (at < 0 || str_find(str_skip(word, (size_t)at), '.') < 0)
			return true;
	}
	return false;
}

static void count_hop(struct message *m)
{
	if (++m->hops < (unsigned)cleanup.params.hopcount_limit ||
	    m->status != CLEANUP_OK)
		return;
	log_warning("%s: message rejected: hopcount exceeded", m->id);
	message_fail(m, CLEANUP_HOPS, "");
}

/* "Subject : x" is known, and written without the blank (RFC 5322 4.5). */
static struct str without_blank(struct str field, struct buf *tidy)
{
	size_t name = header_name_length(field);
	if (name >= field.len || field.p[name] == ':')
		return field;
	ptrdiff_t colon = str_find(field, ':');
	if (colon < 0)
		return field;
	buf_add_str(tidy, str_slice(field, 0, name));
	buf_add_str(tidy, str_skip(field, (size_t)colon));
	return buf_str(tidy);
}

void header_field(struct message *m, struct str field)
{
	CLEANUP(buf_free) struct buf tidy = BUF_INIT(field.len);
	field = without_blank(field, &tidy);
	const struct header_row *row =
	    header_find(str_slice(field, 0, header_name_length(field)));
	struct str body = header_body(field);
	m->seen[row->id] = true;
	message_detect_utf8(m, field);
	m->resent = m->resent || (row->flags & HEADER_IS_RESENT) != 0;
	if (row->id == HEADER_RECEIVED)
		count_hop(m);
	if (row->id == HEADER_MESSAGE_ID || row->id == HEADER_RESENT_MESSAGE_ID)
		note_message_id(m, row->id, body);
	if (cleanup.drops[row->id])
		return;
	if (is_ours(m) && (row->flags & (HEADER_IS_SENDER | HEADER_IS_RECIPIENT)) != 0 &&
	    has_bare_address(body))
		write_rewritten(m, field, body);
	else
		content_write_lines(m, field);
}

static void add_message_id(struct message *m)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(1024);
	CLEANUP(buf_free) struct buf line = BUF_INIT(1100);
	message_id_write(&value, str_of(m->id), str_of(service_common()->myhostname),
	    clock_wall_seconds());
	buf_printf(
	    &line, "%sMessage-Id: %s", m->resent ? "Resent-" : "", buf_cstr(&value));
	content_write_lines(m, buf_str(&line));
	note_message_id(
	    m, m->resent ? HEADER_RESENT_MESSAGE_ID : HEADER_MESSAGE_ID, buf_str(&value));
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

static void add_from(struct message *m)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(ADDRESS_MAX * 2 + 4096);
	struct str sender = m->envelope.sender;
	buf_add_cstr(&line, m->resent ? "Resent-From: " : "From: ");
	if (sender.len == 0) {
		buf_printf(&line, "MAILER-DAEMON@%s", service_common()->myhostname);
	} else if (m->envelope.full_name.len > 0) {
		CLEANUP(buf_free) struct buf address = BUF_INIT(ADDRESS_MAX * 2);
		CLEANUP(buf_free) struct buf folded = BUF_INIT(ADDRESS_MAX * 2 + 8192);
		add_phrase(&line, m->envelope.full_name);
		address_quote(&address, address_complete(m, sender));
		fold_angle(buf_str(&line), buf_str(&address), &folded);
		content_write_lines(m, buf_str(&folded));
		return;
	} else {
		address_quote(&line, address_complete(m, sender));
	}
	content_write_lines(m, buf_str(&line));
}

/* RFC 6409 8: a submission server may add these; mail from elsewhere stays as it is. */
void header_end(struct message *m)
{
	bool wanted = is_ours(m) || cleanup.params.always_add_missing_headers;
	enum header_id id = m->resent ? HEADER_RESENT_MESSAGE_ID : HEADER_MESSAGE_ID;
	if (wanted && !m->seen[id])
		add_message_id(m);
	if (wanted && !m->seen[m->resent ? HEADER_RESENT_DATE : HEADER_DATE])
		add_date(m);
	if (wanted && !m->seen[m->resent ? HEADER_RESENT_FROM : HEADER_FROM])
		add_from(m);
	if (m->envelope.flags & CLEANUP_DISCARD) /* nobody looks for it */
		return;
	if (m->resent)
		log_message_id(str_of(m->id), m->resent_message_id, true);
	log_message_id(str_of(m->id), m->message_id, false);
}
