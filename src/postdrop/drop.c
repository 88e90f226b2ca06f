/* The maildrop file: records are checked one by one and go into a commit slot. */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "mail/address.h"
#include "postdrop/postdrop.h"
#include "queue/queue_write.h"

void drop_init(struct drop *d, struct commit_slot *slot, int64_t size_limit)
{
	*d = (struct drop){.slot = slot,
	    .size_limit = size_limit,
	    .reason = BUF_INIT(1000 + ADDRESS_MAX),
	    .record = BUF_INIT(RECORD_DATA_MAX + 10)};
	maildrop_check_init(&d->check, false);
}

void drop_free(struct drop *d)
{
	commit_cancel(d->slot);
	d->slot = NULL;
	buf_free(&d->reason);
	buf_free(&d->record);
}

static enum drop_result fail(const struct why *why, enum drop_status *status_r)
{
	log_warning("uid=%d: %s", (int)getuid(), buf_cstr(&why->text));
	*status_r = DROP_WRITE_ERROR;
	return DROP_FAILED;
}

/* What is in d->record. */
static enum drop_result add(struct drop *d, enum drop_status *status_r)
{
	struct why why;
	enum drop_result result = DROP_MORE;
	d->size += (int64_t)d->record.len;
	if (d->size_limit > 0 && d->size > d->size_limit) {
		log_warning("uid=%d: %s", (int)getuid(), strerror(EFBIG));
		*status_r = DROP_TOO_BIG;
		return DROP_FAILED;
	}
	why_init(&why);
	if (!commit_add(d->slot, buf_str(&d->record), &why))
		result = fail(&why, status_r);
	why_free(&why);
	return result;
}

enum drop_result drop_begin(struct drop *d, enum drop_status *status_r)
{
	queue_time_record(&d->record, commit_time(d->slot));
	return add(d, status_r);
}

enum drop_result drop_record(
    struct drop *d, int type, struct str data, enum drop_status *status_r)
{
	enum maildrop_verdict verdict = maildrop_check(&d->check, type, data, &d->reason);
	switch (verdict) {
	case MAILDROP_SKIP:
		log_warning("uid=%d: %s", (int)getuid(), buf_cstr(&d->reason));
		return DROP_MORE;
	case MAILDROP_UNEXPECTED:
		return DROP_REFUSED;
	case MAILDROP_BAD:
		log_warning("uid=%d: %s", (int)getuid(), buf_cstr(&d->reason));
		buf_clear(&d->reason);
		buf_add_cstr(&d->reason, "malformed input");
		return DROP_REFUSED;
	case MAILDROP_INCOMPLETE:
		*status_r = DROP_BAD;
		return DROP_FAILED;
	case MAILDROP_TAKE:
	case MAILDROP_END:
		break;
	}
	if (type == RECORD_SENDER && !sender_allowed(d->senders, d->login, data)) {
		buf_printf(
		    &d->reason, "not authorized to use sender='%.*s'", STR_ARG(data));
		*status_r = DROP_DENIED;
		return DROP_FAILED;
	}
	buf_clear(&d->record);
	record_write(&d->record, (enum record_type)type, data);
	enum drop_result result = add(d, status_r);
	return result == DROP_MORE && verdict == MAILDROP_END ? DROP_COMPLETE : result;
}

enum drop_status drop_finish(struct drop *d)
{
	struct why why;
	enum drop_status status = DROP_OK;
	why_init(&why);
	if (!commit_finish(d->slot, commit_time(d->slot), false, NULL, &why))
		(void)fail(&why, &status);
	d->slot = NULL; /* consumed either way */
	why_free(&why);
	return status;
}
