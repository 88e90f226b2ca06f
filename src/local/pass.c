/* mailbox_transport, fallback_transport: another agent takes the rest of the way. */
#include "deliver/pass.h"

#include <string.h>

#include "base/log.h"
#include "local/local.h"

/* With the same settings there it would come back for ever, each time to one more
 * process. */
static bool is_own_name(struct str target)
{
	ptrdiff_t colon = str_find(target, ':');
	return str_is(
	    colon < 0 ? target : str_slice(target, 0, (size_t)colon), service_name());
}

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
	if (is_own_name(target)) {
		log_warning("%.*s: transport \"%s\" would pass mail to itself",
		    (int)(strlen(title) - (found == TABLE_FOUND ? 0 : strlen("_maps"))),
		    title, service_name());
		member_later(m, "4.3.5", "mail system configuration error");
		return true;
	}
	size_t outcome = member_outcome(m);
	if (outcome != SIZE_MAX)
		delivery_pass(m->tree->delivery, outcome, target, service_common());
	return true;
}
