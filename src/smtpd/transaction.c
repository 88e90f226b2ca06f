/* One mail transaction: made by MAIL, replaced whole at every end. */
#include "base/clock.h"
#include "base/memory.h"
#include "smtpd/smtpd.h"

struct transaction *transaction_new(void)
{
	struct transaction *t = memory_alloc(sizeof(*t));
	t->arena = arena_new(TRANSACTION_ARENA);
	t->arrival = clock_wall();
	return t;
}

void transaction_end(struct session *s)
{
	struct transaction *t = s->transaction;
	origin_forget(s);
	if (t == NULL)
		return;
	s->transaction = NULL;
	submission_free(t->message);
	arena_free(t->arena);
	free(t);
}
