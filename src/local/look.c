/* What somebody may know of a path: asked with his rights, not with ours. */
#include <fcntl.h>

#include "base/file.h"
#include "local/local.h"

#define LOOK_SECONDS 60

/* In a child with those rights. Nothing is opened. */
static void look(void *context, UNUSED struct why *whys, struct buf *text)
{
	const char *path = context;
	struct stat status;
	int error = file_stat_at(AT_FDCWD, path, &status);
	buf_printf(text, "%d %u", -error, error == 0 ? (unsigned)status.st_uid : 0);
}

static bool parse(struct str text, int64_t *error_r, int64_t *uid_r)
{
	struct str error, uid;
	return str_next(&text, " ", &error) && str_next(&text, " ", &uid) &&
	    str_to_range(error, 0, 4096, error_r) &&
	    str_to_range(uid, 0, UINT32_MAX, uid_r);
}

bool look_as(
    const struct as_user *user, const char *path, struct look *look_r, struct why *why)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(64);
	int64_t error = 0, uid = 0;
	as_user_run(user,
	    &(struct as_user_errand){.action = look,
		.context = (void *)(uintptr_t)path,
		.seconds = LOOK_SECONDS,
		.whys = why,
		.count = 1,
		.text = &text});
	if (why_is_set(why))
		return false;
	if (!parse(buf_str(&text), &error, &uid))
		return why_later(why, "4.3.0", "delivery process gave no result");
	*look_r = (struct look){.error = (int)error, .uid = (uid_t)uid};
	return true;
}
