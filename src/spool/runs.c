/* What writev(2) takes, with the last stretch growing as long as memory goes on behind it. What is
 * done for every message is in the header. */
#include "spool/runs.h"

void runs_cut(struct runs *runs, size_t size)
{
	while (runs->size > size) {
		struct iovec *last = &runs->at[runs->count - 1];
		size_t more = runs->size - size;

		if (more < last->iov_len) {
			last->iov_len -= more;
			runs->size = size;
		} else {
			runs->size -= last->iov_len;
			runs->count--;
		}
	}
}
