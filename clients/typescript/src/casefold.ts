/** Unicode case folding, which JavaScript does not have. */

/** Folds like any other small i by way of its capital, but Unicode keeps it apart. */
const DOTLESS_I = "ı";

/**
 * A key that is equal for texts which differ only by case or Unicode form.
 *
 * Lower, upper, lower again is Unicode's full case folding for every character but the dotless i; one by one, because a
 * sigma at the end of a word would come out differently.
 */
export function caseFold(text: string): string {
  const folded = Array.from(text.normalize("NFC"), (char) =>
    char === DOTLESS_I ? char : char.toLowerCase().toUpperCase().toLowerCase(),
  );
  return folded.join("").normalize("NFC");
}
