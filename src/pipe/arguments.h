/*
 * The arguments of a pipe service with $name in them, filled in for one delivery. One
 * with a name that tells of a recipient becomes one argument for each recipient. What
 * strangers wrote is data: it never becomes more arguments, is not expanded again, and
 * meets no shell.
 */
#ifndef PIPE_ARGUMENTS_H
#define PIPE_ARGUMENTS_H

#include "deliver/delivery.h"
#include "pipe/attributes.h"

struct pipe_context {
	struct delivery *delivery;
	const struct pipe_attributes *attributes;
	char *const *argv; /* as in master.cf */
	struct address_extension_rules rules;
};

/* In the delivery's arena, NULL at the end. NULL: `error` says why (an unknown name, too
 * long). */
char **pipe_arguments(const struct pipe_context *c, struct buf *error);

#endif
