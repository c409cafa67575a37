import { Catch, type RpcExceptionFilter } from '@nestjs/common';
import { throwError, type Observable } from 'rxjs';

/** Nest would put "Internal server error" in place of what a handler threw. The SDK must see it: a Poison is parked, anything else is tried again. */
@Catch()
export class UnchangedErrors implements RpcExceptionFilter {
  catch(error: unknown): Observable<never> {
    return throwError(() => error);
  }
}
