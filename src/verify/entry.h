/*
 * What is known of one address, as it stands in the cache, which is Postfix's file too:
 * "status:probed:updated:text". Times are seconds since 1970, 0 for never: `probed` when
 * a probe was sent that was not answered yet, `updated` when the status was found out.
 *
 * How long it counts is decided here, without a clock or a file.
 */
#ifndef VERIFY_ENTRY_H
#define VERIFY_ENTRY_H

#include "base/buf.h"
#include "message/verify.h"

#define ENTRY_VALUE_MAX (WHY_TEXT_MAX + 64)
/* A probe that was not answered for so long, in seconds, will never be. */
#define ENTRY_PROBE_TTL 1000

struct entry {
	enum verify_status status;
	int64_t probed, updated;
	struct str text;
};

/* Of address_verify_..., seconds. */
struct entry_times {
	int64_t positive_expire, positive_refresh, negative_expire, negative_refresh;
};

/* False: not in this form. `e_r` borrows from `value`. */
MUST_USE bool entry_parse(struct str value, struct entry *e_r);
/* Control bytes become '?', and a text that is too long is cut. */
void entry_write(struct buf *out, const struct entry *e);

/* What has expired is not known: a probe is on its way, or has to be. */
void entry_expire(struct entry *e, const struct entry_times *times, int64_t now);
/* Time for a probe: unknown, or known for so long that it may have changed. */
bool entry_wants_probe(
    const struct entry *e, const struct entry_times *times, int64_t now);
/* No use in keeping it. */
bool entry_is_useless(
    const struct entry *e, const struct entry_times *times, int64_t now);
/* `e` is what was known, and becomes what is known now that a probe said `status`. An
 * address that was deliverable stays so until that expires: one failure proves little,
 * and it is not asked again at once. */
void entry_update(struct entry *e, enum verify_status status, struct str text,
    const struct entry_times *times, int64_t now);

#endif
