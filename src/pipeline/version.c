/* The build system knows the version; here the library learns it. */
#include <weir.h>

const char *weir_version(void)
{
	return WEIR_VERSION;
}
