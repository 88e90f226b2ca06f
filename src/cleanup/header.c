/* Single header fields: counted, dropped, rewritten. */
#include "base/log.h"
#include "cleanup/mapping.h"
#include "mail/fold.h"
#include "mail/address_list.h"
#include "mail/address_token.h"
#include "mail/log_lines.h"

/* Of a discarded message nobody looks for it. */
void header_log_message_id(const struct message *m, struct str message_id, bool resent)
{
	if ((m->envelope.flags & CLEANUP_DISCARD) == 0)
		log_message_id(str_of(m->id), message_id, resent);
}

void header_note_message_id(struct message *m, bool resent, struct str message_id)
{
	struct str *kept = resent ? &m->resent_message_id : &m->message_id;
	message_id = str_slice(message_id, 0, 998);
	header_log_message_id(m, message_id, resent);
	struct str copy = arena_str(m->arena, message_id);
	if (kept->len == 0 && copy.p != NULL)
		*kept = copy;
}

/* One field whose addresses are rewritten. */
struct rewriting {
	struct message *message;
	enum address_use use;
	bool changed;
};

/* Completed (RFC 5322 3.4 wants a domain), then mapped. */
static bool rewrite_one(void *context, struct str internal, struct buf *replacement)
{
	struct rewriting *r = context;
	struct message *m = r->message;
	struct str address =
	    address_complete(m, internal, (enum rewrite_context)m->rewriting);
	address = mapping_apply(m, address, r->use);
	if (!str_equal(address, internal)) {
		buf_add_str(replacement, address);
		r->changed = true;
	}
	return true;
}

/* header_address_token_limit: blanks do not count, what lies beyond is lost. */
static struct str within_token_limit(struct str body)
{
	size_t left = (size_t)cleanup.params.header_address_token_limit;
	struct str rest = body;
	while (left > 0 && rest.len > left)
		if (address_token_next(&rest).kind != ADDRESS_TOKEN_SPACE)
			left--;
	return left > 0 ? body : str_slice(body, 0, (size_t)(rest.p - body.p));
}

/* A changed list is laid out afresh, another stays as it came. */
static void write_rewritten(
    struct message *m, struct str field, struct str body, enum address_use use)
{
	struct rewriting rewriting = {.message = m, .use = use};
	size_t limit = (size_t)cleanup.params.header_size_limit * 2;
	CLEANUP(buf_free) struct buf text = BUF_INIT(limit);
	buf_add_str(&text, str_slice(field, 0, (size_t)(body.p - field.p)));
	body = within_token_limit(body);
	(void)address_list_walk(body, body.len + 1, rewrite_one, &rewriting, &text);
	CLEANUP(buf_free) struct buf folded = BUF_INIT(text.len * 2 + 16);
	fold_addresses(buf_str(&text), &folded);
	bool usable = rewriting.changed && buf_ok(&text) && buf_ok(&folded);
	content_write_lines(m, usable ? buf_str(&folded) : field);
}

/* Quotes, comments, groups and routes. */
static bool has_special(struct str address)
{
	for (size_t i = 0; i < address.len; i++) {
		char c = address.p[i];
		if (c == '"' || c == '\\' || c == '(' || c == ')' || c == ':')
			return true;
	}
	return false;
}

/* "user@example.com" and "Name <user@example.com>": nothing to complete or to tidy. */
static bool is_plain(struct str word)
{
	ptrdiff_t open = str_find_last(word, '<');
	struct str address =
	    str_trim(open >= 0 ? str_skip(word, (size_t)open + 1) : word);
	ptrdiff_t at = str_find_last(address, '@');
	if (open >= 0 && str_ends(address, STR(">")))
		address.len--;
	return at > 0 && str_find(str_skip(address, (size_t)at), '.') > 0 &&
	    !str_ends(address, STR(".")) && !has_special(address);
}

static bool has_bare_address(struct str body)
{
	while (body.len > 0) {
		ptrdiff_t comma = str_find(body, ',');
		struct str word = comma < 0 ? body : str_slice(body, 0, (size_t)comma);
		if (word.len > 0 && !is_plain(word))
			return true;
		body = str_skip(body, word.len + 1);
	}
	return false;
}

static void count_hop(struct message *m)
{
	if (++m->hops != (unsigned)cleanup.params.hopcount_limit)
		return;
	log_warning("%s: message rejected: hopcount exceeded", m->id);
	message_refuse(m, CLEANUP_HOPS, "5.4.0 too many hops");
}

/* "Subject : x" is known, and written without the blank (RFC 5322 4.5). */
static struct str without_blank(struct str field, size_t name, struct buf *tidy)
{
	if (name >= field.len || field.p[name] == ':')
		return field;
	ptrdiff_t colon = str_find(field, ':');
	if (colon < 0)
		return field;
	buf_add_str(tidy, str_slice(field, 0, name));
	buf_add_str(tidy, str_skip(field, (size_t)colon));
	return buf_str(tidy);
}

static enum address_use use_of(const struct header_row *row)
{
	if ((row->flags & HEADER_IS_SENDER) != 0)
		return USE_HEADER_SENDER;
	return (row->flags & HEADER_IS_RECIPIENT) != 0 ? USE_HEADER_RECIPIENT : 0;
}

void header_field(struct message *m, struct str field)
{
	CLEANUP(buf_free) struct buf tidy = BUF_INIT(field.len);
	size_t name = header_name_length(field);
	field = without_blank(field, name, &tidy);
	const struct header_row *row = header_find(str_slice(field, 0, name));
	struct str body = header_body(field);
	m->seen[row->id] = true;
	message_detect_utf8(m, field);
	m->resent = m->resent || (row->flags & HEADER_IS_RESENT) != 0;
	if (row->id == HEADER_RECEIVED)
		count_hop(m);
	if (row->id == HEADER_MESSAGE_ID || row->id == HEADER_RESENT_MESSAGE_ID)
		header_note_message_id(m, row->id != HEADER_MESSAGE_ID, body);
	if (cleanup.drops[row->id])
		return;
	enum address_use use = use_of(row);
	if (m->rewriting != HEADER_AS_IT_IS && use != 0 &&
	    (cleanup.mapping != NULL || has_bare_address(body)))
		write_rewritten(m, field, body, use);
	else
		content_write_lines(m, field);
}
