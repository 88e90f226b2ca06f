/*
 * A user's records, as postdrop takes them from its standard input and as pickup finds
 * them in a file. Whatever comes: bounded, no control byte gets into an envelope, and
 * what one side calls complete the other reads.
 */
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sys/mman.h>
#include "base/file.h"
#include "base/panic.h"
#include "queue/maildrop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_MAX (1 << 20)

/* As postdrop does it. True: `out` is a complete file. */
static bool drop(struct str in, struct buf *out, struct buf *reason)
{
	struct maildrop_check check;
	int type = 0;
	struct str data = STR_EMPTY;
	maildrop_check_init(&check, false);
	record_write(out, RECORD_TIME, STR("1795318146 0"));
	while (record_read(&in, &type, &data) == 1) {
		enum maildrop_verdict verdict =
		    maildrop_check(&check, type, data, reason);
		if (verdict == MAILDROP_TAKE || verdict == MAILDROP_END)
			record_write(out, (enum record_type)type, data);
		else
			ENSURE(reason->len > 0);
		if (verdict != MAILDROP_TAKE && verdict != MAILDROP_SKIP)
			return verdict == MAILDROP_END;
	}
	return false;
}

static void check_message(struct queue_file *f, const struct maildrop *m, size_t size)
{
	struct str line = STR_EMPTY;
	bool whole = false;
	size_t total = 0;
	ENSURE(m->recipient_count > 0 && !str_has_control(m->envelope.sender));
	for (size_t i = 0; i < m->recipient_count; i++) {
		const struct queue_recipient *r = &m->recipients[i];
		ENSURE(r->address.len <= ADDRESS_MAX && r->notify <= 15);
		ENSURE(!str_has_control(r->address) && !str_has_control(r->dsn_orcpt));
	}
	queue_file_content_start(f, &m->envelope);
	while (queue_file_content_next(f, &line, &whole) == 1)
		total += line.len;
	ENSURE(total <= size);
}

static int read_file(struct str bytes, bool requeued)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	ENSURE(fd >= 0 && file_write_all(fd, bytes.p, bytes.len) == 0);
	struct queue_file f;
	ENSURE(queue_file_take(&f, fd) == 0);
	struct arena *a = arena_new(ARENA_MAX);
	struct maildrop m;
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	int result = maildrop_read(&f, requeued, a, &m, &reason);
	ENSURE(result != -EBADMSG || reason.len > 0);
	if (result == 0 && !requeued)
		check_message(&f, &m, bytes.len);
	arena_free(a);
	queue_file_close(&f);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	CLEANUP(buf_free) struct buf file = BUF_INIT(size + 100);
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	if (drop(in, &file, &reason)) {
		int result = read_file(buf_str(&file), false);
		ENSURE(result == 0 || result == -ENOMEM);
	}
	(void)read_file(in, false);
	(void)read_file(in, true);
	return 0;
}
