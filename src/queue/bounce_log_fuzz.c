/* Whatever stands in a log of delivery status: entries are clean, and survive a round
 * trip. */
#include <stddef.h>
#include <stdint.h>
#include "base/panic.h"
#include "mail/dsn.h"
#include "queue/bounce_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct bounce_entry *e)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1 << 20);
	struct bounce_log_reader r;
	struct bounce_entry back;
	bounce_log_write(&text, e, true);
	ENSURE(buf_ok(&text));
	bounce_log_reader_init(&r, buf_str(&text));
	ENSURE(bounce_log_next(&r, &back));
	ENSURE(str_equal(back.status, e->status) && back.offset == e->offset);
	ENSURE(back.notify == e->notify && str_equal(back.dsn_orcpt, e->dsn_orcpt));
	ENSURE(!bounce_log_next(&r, &back));
	bounce_log_reader_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bounce_log_reader r;
	struct bounce_entry e;
	bounce_log_reader_init(&r, (struct str){(const char *)data, size});
	while (bounce_log_next(&r, &e)) {
		ENSURE(
		    e.recipient.len > 0 && dsn_status_valid(e.status) && e.notify <= 15);
		ENSURE(!str_has_control(e.reason) && !str_has_control(e.recipient));
		if (e.dsn_orcpt.len < BOUNCE_LOG_LINE / 2)
			check_round_trip(&e);
	}
	bounce_log_reader_free(&r);
	return 0;
}
