/*
 * Fault points: places where the n-th call can be made to fail, for tests. Every write,
 * fsync, rename, link, unlink, open, allocation, accept, fork that matters goes through
 * base/file, base/memory or a fault_hit of its own. Off (one predictable branch) unless
 * the environment holds, read once by fault_init:
 *
 *	POSTHOUSE_FAULT="fsync:3=EIO,write:2+=ENOSPC,malloc:100=ENOMEM,crash@rename:4"
 *
 * point:N=ERROR fails the N-th call (from 1) of this process, N+ that and all later ones;
 * crash@point:N kills the process (signal 9) at that call. POSTHOUSE_FAULT_PROGRAM, when
 * set, names the only program that obeys. Setgid and root programs ignore both when
 * AT_SECURE is set.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>
#include "base/attributes.h"

enum fault_point {
	FAULT_OPEN,
	FAULT_READ,
	FAULT_WRITE,
	FAULT_FSYNC,
	FAULT_RENAME,
	FAULT_LINK,
	FAULT_UNLINK,
	FAULT_CHMOD,
	FAULT_MALLOC,
	FAULT_ACCEPT,
	FAULT_CONNECT,
	FAULT_FORK,
	FAULT_SEND,
	FAULT_RECEIVE,
	FAULT_POINT_COUNT,
};

void fault_init(const char *program);
/* 0, or the errno (positive) that this call must fail with. Counts the call. */
int fault_hit(enum fault_point point);
/* Tests in process: the n-th call from now fails with `error`; n 0 switches off. */
void fault_set(enum fault_point point, unsigned n, bool and_later, int error);
/* Calls since the last fault_set of this point (counting starts with the first one). */
unsigned fault_count(enum fault_point point);

#endif
