/*
 * Files of users that say where their mail goes (.forward, :include:): found and read in
 * a child with the user's rights, told to the agent as a text. Such a file is a regular
 * one (no link), the user's or root's, and not everybody's to write; another one is
 * warned of and passed over.
 */
#ifndef DELIVER_USER_FILE_H
#define DELIVER_USER_FILE_H

#include <sys/types.h>
#include "base/buf.h"

#define USER_FILE_MAX (16 * 1024 * 1024)

struct user_files {
	const char *const *paths;
	size_t count;
	uid_t owner; /* whose it may be, besides root's */
	const char *what,
	    *opened; /* for warnings: "" or ":include: "; "" or "include " */
};

/*
 * In the child: adds to `report` the warnings, and the first file that is there and good.
 * True: there is one. A file longer than the room of `report` is none, with a warning.
 */
bool user_file_find(const struct user_files *files, struct buf *report);

struct user_file {
	struct str path, text; /* within the report; path.p NULL: there is none */
};
/* In the agent: logs the warnings. False: the report is not understood, or `path` is none
 * of those asked for. */
MUST_USE bool user_file_take(
    struct str report, const struct user_files *asked, struct user_file *file_r);

#endif
