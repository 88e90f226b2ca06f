/* The ends of the tree: one outcome each. */
#include <stdarg.h>

#include "local/local.h"

bool member_is_probe(const struct member *m)
{
	return (m->tree->delivery->request.flags & DELIVERY_VERIFY) != 0;
}

/* The recipient itself is its own outcome; what it was expanded to are parts of it. */
size_t member_outcome(const struct member *m)
{
	struct delivery *d = m->tree->delivery;
	size_t index = m->tree->index;
	if (m->origin == 0 && d->recipients[index].result == DELIVERY_PENDING)
		return index;
	delivery_divide(d, index);
	size_t part = delivery_part(d, index, m->address);
	if (part == SIZE_MAX) {
		d->recipients[index].left = true; /* so that it is tried again */
		return part;
	}
	if (m->owned)
		delivery_unnamed(d, part);
	struct delivery_rcpt *rcpt = &d->recipients[part];
	rcpt->sender = m->sender;
	if (!local.params.frozen_delivered_to)
		rcpt->delivered_to = m->address;
	return part;
}

size_t member_owned_outcome(const struct member *m)
{
	size_t outcome = member_outcome(m);
	if (outcome != SIZE_MAX)
		m->tree->delivery->recipients[outcome].owned = m->owned;
	return outcome;
}

static void add_key(struct buf *key, const struct member *m, char kind, struct str text)
{
	bool by_user = kind == 'C' || kind == 'F';
	buf_printf(key, "%c%d %lld ", kind, kind == 'R' && m->owned,
	    by_user && m->account != NULL ? (long long)m->account->user.uid : -1);
	buf_add_str(key, text);
}

bool member_is_known(const struct member *m, char kind, struct str text)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX * 2);
	add_key(&key, m, kind, text);
	return m->tree->seen != NULL && map_get(m->tree->seen, buf_str(&key)) != NULL;
}

bool member_is_new(const struct member *m, char kind, struct str text)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(ADDRESS_MAX * 2);
	struct tree *t = m->tree;
	if (member_is_known(m, kind, text))
		return false;
	add_key(&key, m, kind, text);
	if (t->seen == NULL)
		t->seen = map_new();
	if ((int64_t)map_count(t->seen) < local.params.duplicate_filter_limit)
		(void)map_set(t->seen, buf_str(&key), t);
	return true;
}

void member_sent(const struct member *m, const char *format, ...)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(WHY_TEXT_MAX);
	size_t outcome = member_outcome(m);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	if (outcome != SIZE_MAX)
		delivery_sent(
		    m->tree->delivery, outcome, STR_EMPTY, 0, "2.0.0", buf_str(&text));
}

void member_failed(const struct member *m, const struct why *why)
{
	size_t outcome = member_outcome(m);
	if (outcome != SIZE_MAX)
		delivery_failed(m->tree->delivery, outcome, STR_EMPTY, why);
}

static void fail(const struct member *m, bool later, const char *code, const char *format,
    va_list args)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(WHY_TEXT_MAX);
	struct why why;
	buf_vprintf(&text, format, args);
	why_init(&why);
	(void)(later ? why_later : why_never)(&why, code, "%s", buf_cstr(&text));
	member_failed(m, &why);
	why_free(&why);
}

void member_later(const struct member *m, const char *code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fail(m, true, code, format, args);
	va_end(args);
}

void member_never(const struct member *m, const char *code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fail(m, false, code, format, args);
	va_end(args);
}
