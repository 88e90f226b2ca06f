/* mailbox_transport, fallback_transport: another agent takes the rest of the way. */
#include "deliver/pass.h"
#include "local/local.h"

bool pass_deliver(
    const struct member *m, struct maps *maps, const char *title, const char *plain)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	enum table_result found =
	    maps_empty(maps) ? TABLE_ABSENT : maps_lookup(maps, m->base, false, &value);
	struct str target =
	    found == TABLE_FOUND ? str_trim(buf_str(&value)) : str_of(plain);
	if (found == TABLE_TRY_LATER || found == TABLE_BROKEN) {
		member_later(m, "4.3.0", "%s lookup failure", title);
		return true;
	}
	if (target.len == 0)
		return false;
	size_t outcome = member_outcome(m);
	if (outcome != SIZE_MAX)
		delivery_pass(m->tree->delivery, outcome, target, service_common());
	return true;
}
