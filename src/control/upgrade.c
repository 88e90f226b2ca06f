/* postfix upgrade-configuration: rows that an old master.cf lacks are added at its end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "control/control.h"
#include "control/stock_rows.h"

#define PATH_ROOM  4096
#define FILE_ARENA (4u << 20)
#define ADDED_MAX  65536

static int append(const char *path, const struct buf *rows)
{
	CLEANUP(file_close) int fd = file_open_following(path, O_WRONLY | O_APPEND, 0);
	int error = fd < 0 ? fd : file_write_all(fd, rows->p, rows->len);
	if (error == 0)
		error = file_sync(fd);
	if (error != 0)
		log_line(LOG_LEVEL_FATAL, "write %s: %s", path, strerror(-error));
	return error == 0 ? 0 : 1;
}

int control_upgrade_configuration(void)
{
	char path[PATH_ROOM];
	struct master_cf cf;
	CLEANUP(buf_free)
	struct buf error = BUF_INIT(PATH_ROOM), rows = BUF_INIT(ADDED_MAX);
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(FILE_ARENA);
	(void)snprintf(path, sizeof(path), "%s/master.cf", command_directory());
	if (!master_cf_read(path, arena, &cf, &error)) {
		log_line(LOG_LEVEL_FATAL, "%s", buf_cstr(&error));
		return 1;
	}
	buf_add_cstr(&rows, "# Added by `postfix upgrade-configuration`.\n");
	size_t count =
	    stock_rows_add(&rows, program_daemon_directory(command_common()), &cf);
	if (count == 0)
		return 0;
	log_info("%s: %zu services were missing and are added", path, count);
	return append(path, &rows);
}
