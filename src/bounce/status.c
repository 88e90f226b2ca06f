/* The status logs: additions that are synced before they are answered, and removal. */
#include <errno.h>

#include "base/file.h"
#include "bounce/bounce.h"
#include "queue/bounce_log.h"
#include "queue/commit.h"
#include "queue/queue_dir.h"

#define APPEND_MAX (16 * 1024 * 1024)

void status_write(struct buf *out, const struct bounce_add_entry *e)
{
	bounce_log_write(out,
	    &(struct bounce_entry){
		.recipient = e->recipient,
		.original =
		    str_equal(e->original, e->recipient) ? STR_EMPTY : e->original,
		.dsn_orcpt = e->dsn_orcpt,
		.offset = e->offset,
		.notify = e->notify,
		.status = e->status,
		.action = e->action,
		.diag_type = e->diag_type,
		.diag_text = e->diag_text,
		.mta_type = e->mta_name.len > 0 ? STR("dns") : STR_EMPTY,
		.mta_name = e->mta_name,
		.reason = e->reason,
	    },
	    bounce.params.backwards_bounce_logfile_compatibility);
}

/* The defer log explains; it stands for nothing that is marked, so it needs no sync. */
static bool must_be_durable(void)
{
	return !str_is(str_of(service_name()), QUEUE_DEFER);
}

static int append(struct str id, struct str text)
{
	int fd = queue_open_log(service_name(), id);
	if (fd < 0)
		return fd;
	int error = file_write_all(fd, text.p, text.len);
	if (error == 0 && must_be_durable())
		error = commit_sync_fd(fd);
	if (error == 0 && must_be_durable()) {
		char path[QUEUE_PATH_MAX];
		queue_path(path, service_name(), id);
		*strrchr(path, '/') = '\0';
		error = commit_sync_name(fd, path);
	}
	file_close(&fd);
	return error;
}

bool status_append(const struct bounce_append *entries, struct why *why)
{
	if (entries->entries_count == 0)
		return true;
	struct str id = entries->entries[0].id;
	if (!queue_id_valid(id))
		return why_later(why, "4.3.0", "not a queue id");
	CLEANUP(buf_free) struct buf text = BUF_INIT(APPEND_MAX);
	for (uint32_t i = 0; i < entries->entries_count; i++) {
		if (!str_equal(entries->entries[i].id, id))
			return why_later(why, "4.3.0", "entries of several messages");
		status_write(&text, &entries->entries[i]);
	}
	int error = buf_ok(&text) ? append(id, buf_str(&text)) : -EFBIG;
	return error == 0 ||
	    why_system(why, -error, "append to %s/%.*s", service_name(), STR_ARG(id));
}

bool status_forget(struct str id, struct why *why)
{
	if (!queue_id_valid(id))
		return why_later(why, "4.3.0", "not a queue id");
	int error = queue_remove(service_name(), id);
	if (error == 0 || error == -ENOENT)
		return true;
	return why_system(why, -error, "remove %s/%.*s", service_name(), STR_ARG(id));
}
