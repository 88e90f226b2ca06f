#include "queue/bounce_log.h"

#include "mail/address.h"
#include "mail/dsn.h"

static void add_clean(struct buf *out, struct str value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.p[i];
		buf_add_char(out, c < 32 || c == 127 ? '?' : value.p[i]);
	}
}

/* Cut so that a reader's line buffer holds it; empty values are left out. */
static void add_line(struct buf *out, const char *name, struct str value)
{
	if (value.len == 0)
		return;
	size_t used = strlen(name) + 1;
	buf_add_cstr(out, name);
	buf_add_char(out, '=');
	add_clean(out, str_slice(value, 0, BOUNCE_LOG_LINE - used));
	buf_add_char(out, '\n');
}

static void add_address_line(struct buf *out, const char *name, struct str internal)
{
	CLEANUP(buf_free) struct buf external = BUF_INIT(2 * ADDRESS_MAX + 2);
	address_quote(&external, internal);
	add_line(out, name, buf_str(&external));
}

void bounce_log_write(struct buf *out, const struct bounce_entry *e, bool old_style)
{
	buf_add_char(out, '\n');
	if (old_style) {
		CLEANUP(buf_free) struct buf external = BUF_INIT(2 * ADDRESS_MAX + 2);
		address_quote(&external, e->recipient);
		buf_add_char(out, '<');
		add_clean(out, buf_str(&external));
		buf_add_cstr(out, ">: ");
		add_clean(
		    out, str_slice(e->reason, 0, BOUNCE_LOG_LINE - external.len - 4));
		buf_add_char(out, '\n');
	}
	add_address_line(out, "recipient", e->recipient);
	if (!str_equal(e->original, e->recipient))
		add_address_line(out, "original_recipient", e->original);
	if (e->offset > 0)
		buf_printf(out, "offset=%lld\n", (long long)e->offset);
	add_line(out, "dsn_orig_rcpt", e->dsn_orcpt);
	if (e->notify != 0)
		buf_printf(out, "notify_flags=%u\n", e->notify);
	add_line(out, "status", e->status);
	add_line(out, "action", e->action);
	add_line(out, "diag_type", e->diag_type);
	add_line(out, "diag_text", e->diag_text);
	add_line(out, "mta_type", e->mta_type);
	add_line(out, "mta_mname", e->mta_name);
	add_line(out, "reason", e->reason);
	buf_add_char(out, '\n');
}

void bounce_log_reader_init(struct bounce_log_reader *r, struct str text)
{
	*r = (struct bounce_log_reader){
	    .rest = text, .unquoted = BUF_INIT(2 * BOUNCE_LOG_LINE)};
}

void bounce_log_reader_free(struct bounce_log_reader *r)
{
	buf_free(&r->unquoted);
}

/* What one block of lines says; addresses still as written. */
struct block {
	struct bounce_entry entry;
	bool bad;
};

static void take_offset(struct block *b, struct str value)
{
	b->bad = b->bad || !str_to_range(value, 0, INT64_MAX, &b->entry.offset);
}

static void take_notify(struct block *b, struct str value)
{
	int64_t flags = 0;
	b->bad = b->bad || !str_to_range(value, 0, 15, &flags);
	b->entry.notify = (uint32_t)flags;
}

static void take_line(struct block *b, struct str line)
{
	const struct {
		const char *name;
		struct str *value;
	} texts[] = {
	    {"recipient", &b->entry.recipient},
	    {"original_recipient", &b->entry.original},
	    {"dsn_orig_rcpt", &b->entry.dsn_orcpt},
	    {"status", &b->entry.status},
	    {"action", &b->entry.action},
	    {"diag_type", &b->entry.diag_type},
	    {"diag_text", &b->entry.diag_text},
	    {"mta_type", &b->entry.mta_type},
	    {"mta_mname", &b->entry.mta_name},
	    {"reason", &b->entry.reason},
	};
	ptrdiff_t equals = str_find(line, '=');
	/* The old-style line starts with '<'; unknown names are somebody's later
	 * addition. */
	if (equals <= 0 || line.p[0] == '<')
		return;
	struct str name = str_slice(line, 0, (size_t)equals);
	struct str value = str_skip(line, (size_t)equals + 1);
	b->bad = b->bad || str_has_control(value);
	if (str_is(name, "offset"))
		take_offset(b, value);
	else if (str_is(name, "notify_flags"))
		take_notify(b, value);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (str_is(name, texts[i].name))
			*texts[i].value = str_slice(value, 0, BOUNCE_LOG_LINE);
}

/* False at the end of the text; *line_r without its line end. */
static bool next_line(struct bounce_log_reader *r, struct str *line_r)
{
	if (r->rest.len == 0)
		return false;
	ptrdiff_t end = str_find(r->rest, '\n');
	size_t len = end < 0 ? r->rest.len : (size_t)end;
	*line_r = str_slice(r->rest, 0, len);
	r->rest = str_skip(r->rest, len + 1);
	return true;
}

/* Reads up to the empty line that ends a block. */
static bool next_block(struct bounce_log_reader *r, struct block *b)
{
	struct str line;
	bool any = false;
	*b = (struct block){0};
	while (next_line(r, &line)) {
		if (line.len == 0 && any)
			return true;
		if (line.len > 0) {
			take_line(b, line);
			any = true;
		}
	}
	return any;
}

bool bounce_log_next(struct bounce_log_reader *r, struct bounce_entry *e_r)
{
	struct block b;
	while (next_block(r, &b)) {
		struct bounce_entry *e = &b.entry;
		if (b.bad || e->recipient.len == 0 || !dsn_status_valid(e->status))
			continue;
		buf_clear(&r->unquoted);
		address_unquote(&r->unquoted, e->recipient);
		size_t recipient_len = r->unquoted.len;
		if (recipient_len == 0)
			continue;
		address_unquote(&r->unquoted, e->original);
		e->recipient = str_slice(buf_str(&r->unquoted), 0, recipient_len);
		e->original = str_skip(buf_str(&r->unquoted), recipient_len);
		*e_r = *e;
		return true;
	}
	return false;
}
