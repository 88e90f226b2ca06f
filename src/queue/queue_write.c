#include "queue/queue_write.h"

void queue_size_record(char out[QUEUE_SIZE_RECORD], const struct queue_size *s)
{
	char text[256];
	/* Fixed columns, so that the record can be rewritten in place. */
	int len =
	    snprintf(text, sizeof(text), "%c%c%15lld %15lld %15lld %15lld %15lld %15lld",
		RECORD_SIZE, QUEUE_SIZE_RECORD - 2, (long long)s->content_size,
		(long long)s->content_offset, (long long)s->recipients,
		(long long)s->flags, (long long)s->message_size, (long long)s->sendopts);
	memcpy(out, text, len == QUEUE_SIZE_RECORD ? (size_t)len : 0);
}

void queue_time_record(struct buf *out, struct timeval when)
{
	record_printf(
	    out, RECORD_TIME, "%lld %ld", (long long)when.tv_sec, (long)when.tv_usec);
}

void queue_recipient_records(struct buf *out, const struct queue_write_recipient *r)
{
	if (r->notify != 0)
		record_printf(out, RECORD_ATTRIBUTE, "notify_flags=%u", r->notify);
	if (r->dsn_orcpt.len > 0)
		record_attribute(out, "dsn_orig_rcpt", r->dsn_orcpt);
	if (r->original.len > 0)
		record_write(out, RECORD_ORIGINAL, r->original);
	record_write(out, RECORD_RECIPIENT, r->address);
}

bool queue_text_record(struct buf *out, struct str *line, size_t limit)
{
	bool more = line->len >= limit;
	record_write(out, more ? RECORD_PART : RECORD_LINE, str_slice(*line, 0, limit));
	*line = str_skip(*line, limit);
	return more;
}
