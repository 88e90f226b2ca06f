/* Shows the records of one queue file, for postcat. */
#ifndef POSTCAT_PRINT_H
#define POSTCAT_PRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct print_options {
	bool body, envelope, header; /* which parts; none of them means all */
	bool offsets, types;         /* in front of each record */
	bool verbose;                /* text lines get labels; pointers are shown */
	bool raw;                    /* file order: pointers are shown, not followed */
	int64_t start;               /* offset of the first record */
};

enum print_result {
	PRINT_DONE,
	PRINT_NOT_A_QUEUE_FILE, /* nothing was printed */
	PRINT_READ_ERROR,       /* a warning says where */
};

/* `name` is for section lines and warnings. */
enum print_result print_file(
    FILE *out, int fd, const char *name, const struct print_options *o);

#endif
