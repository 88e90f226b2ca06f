#include "queue/queue_write.h"

#include "base/panic.h"

#define SIZE_COLUMN 15 /* bytes of a number */

void queue_size_record(char out[QUEUE_SIZE_RECORD], const struct queue_size *s)
{
	const int64_t values[] = {s->content_size, s->content_offset, s->recipients,
	    s->flags, s->message_size, s->sendopts};
	char text[ARRAY_SIZE(values) * (1 + STR_U64_MAX)];
	char *end = text;
	/* Fixed columns, so that the record can be rewritten in place. */
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		*end++ = ' ';
		end = str_put_u64(end, (uint64_t)values[i], SIZE_COLUMN);
	}
	ENSURE(end == text + 1 + QUEUE_SIZE_RECORD - 2);
	out[0] = RECORD_SIZE;
	out[1] = QUEUE_SIZE_RECORD - 2;
	memcpy(out + 2, text + 1, QUEUE_SIZE_RECORD - 2);
}

void queue_time_record(struct buf *out, struct timeval when)
{
	char text[2 * STR_U64_MAX + 1];
	char *end = str_put_u64(text, (uint64_t)when.tv_sec, 0);
	*end++ = ' ';
	end = str_put_u64(end, (uint64_t)when.tv_usec, 0);
	record_write(out, RECORD_TIME, (struct str){text, (size_t)(end - text)});
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
