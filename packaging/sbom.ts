/**
 * `npm run sbom [file]`: what this project consists of, as CycloneDX (default dist/sbom.cdx.json): npm's own list of the packages that run,
 * the jars that Maven fetches, with their SHA-256, and the images that docker-compose.yml names. Asks nothing but npm's lock file.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { readCatalogue, type Jar } from './jar-catalogue.ts';

const root = join(import.meta.dirname, '..');

const npmSbom = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.string(),
  components: z.array(z.looseObject({ 'bom-ref': z.string(), name: z.string(), version: z.string() })),
});
type Component = z.output<typeof npmSbom>['components'][number];
export type Sbom = z.output<typeof npmSbom>;

/** The list of npm's with jars and images in it. */
export function mergeSbom(npm: Sbom, jars: readonly Jar[], images: readonly string[]): Sbom {
  return { ...npm, components: [...npm.components, ...jars.map(jarComponent), ...images.map(imageComponent)] };
}

function jarComponent({ sha256, group, name, version, licences }: Jar): Component {
  const purl = group === null ? undefined : `pkg:maven/${group}/${name}@${version}`;
  return {
    'bom-ref': purl === undefined ? `jar:${name}@${version}` : `${purl}?sha256=${sha256.slice(0, 12)}`,
    type: 'library',
    ...(group === null ? {} : { group }),
    name,
    version,
    ...(purl === undefined ? {} : { purl }),
    hashes: [{ alg: 'SHA-256', content: sha256 }],
    ...(licences.length === 0 ? {} : { licenses: licences.map((licence) => ({ license: { name: licence } })) }),
  };
}

/** By tag: no digest is known where no registry answers (docs/release.md). */
function imageComponent(image: string): Component {
  const [name = image, version = 'latest'] = image.split(':');
  return { 'bom-ref': `image:${image}`, type: 'container', name, version, purl: `pkg:docker/${name}@${version}` };
}

/** The images that a docker-compose.yml takes from a registry, each with its tag. */
export function imagesOf(compose: string): readonly string[] {
  const named = [...compose.matchAll(/\$\{CDC_IMAGE_[A-Z]+:-(?<image>[^}]+)\}/g)].map(([, image = '']) => image);
  return [...new Set(named)].filter((image) => !image.startsWith('legacy-cdc-bridge')).toSorted();
}

if (import.meta.main) {
  const target = resolve(process.argv[2] ?? join(root, 'dist', 'sbom.cdx.json'));
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only'];
  const { stdout } = await promisify(execFile)('npm', args, { cwd: root, maxBuffer: 64 * 2 ** 20 });
  const images = imagesOf(await readFile(join(root, 'docker-compose.yml'), 'utf8'));
  const sbom = mergeSbom(npmSbom.parse(JSON.parse(stdout)), await readCatalogue(), images);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, `${JSON.stringify(sbom, null, 2)}\n`);
  process.stdout.write(`${sbom.components.length} components: ${target}\n`);
}
