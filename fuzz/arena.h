/* Memory for one run of a fuzzer, in place of the heap. --wrap: calloc free malloc realloc. */
#ifndef WEIR_FUZZ_ARENA_H
#define WEIR_FUZZ_ARENA_H

/* From here on, what is allocated comes from a memory of a fixed size; more than that is a crash.
 */
void arena_begin(void);

/* All of it must have been given back. */
void arena_end(void);

#endif
