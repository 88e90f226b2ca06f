/*
 * postconf -e, -X, -#: changes of main.cf and master.cf. Comments, order and all that is
 * not asked for stay. Who edits holds a lock on the file; the new text is written beside
 * it (FILE.tmp), synced and renamed; owner and mode are kept. So a reader, and a crash,
 * see the old file or the new one. Wrong requests are fatal before anything is written.
 */
#ifndef POSTCONF_EDIT_H
#define POSTCONF_EDIT_H

#include <stddef.h>
#include "base/buf.h"

enum edit_kind { EDIT_SET = 'e', EDIT_REMOVE = 'X', EDIT_COMMENT = '#' };

/* `mode`: p (parameters), M (rows), F (fields), P (parameters of rows). `requests` as on
 * the command line. */
void edit_run(
    int mode, enum edit_kind kind, const char *directory, char **requests, size_t count);

/* Inside this program's edit_*.c: */

#define EDIT_FILE_MAX ((size_t)16 << 20)

struct edit_file {
	char *path; /* links followed */
	char *temporary;
	int fd;          /* of the old file, locked */
	struct buf text; /* as it was */
	struct buf out;  /* as it will be */
};

/* Takes a physical line off the front of *rest; its line end is not in *line_r. */
bool edit_next_line(struct str *rest, struct str *line_r);
bool edit_is_comment(struct str line);      /* or blank */
bool edit_is_continuation(struct str line); /* of a logical line */
void edit_put(struct edit_file *f, const char *prefix, struct str line);

/* "name=value" with blanks around both gone; fatal without "=" or without a name. */
void edit_split(const char *request, struct str *name_r, struct str *value_r);

void edit_parameters(
    struct edit_file *f, enum edit_kind kind, char **requests, size_t count);
void edit_whole_rows(
    struct edit_file *f, enum edit_kind kind, char **requests, size_t count);
void edit_in_rows(
    struct edit_file *f, int mode, enum edit_kind kind, char **requests, size_t count);

#endif
